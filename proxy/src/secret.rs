//! A secret that two sides share.

/// As long as the hash that it is used with: what is shorter is easier to guess than to break.
pub(crate) const SHARED_BYTES_MIN: usize = 32;

/// The secret in a file that an editor or `echo` may have ended with a line end.
///
/// # Errors
/// It is too short to be one.
pub(crate) fn shared(bytes: &[u8]) -> Result<&[u8], String> {
    let secret = bytes.trim_ascii_end();
    if secret.len() < SHARED_BYTES_MIN {
        return Err(format!(
            "expected a secret of at least {SHARED_BYTES_MIN} bytes, for example from `openssl rand -hex 32`, not of {}",
            secret.len()
        ));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_before_its_line_end_and_has_a_length_worth_the_name() {
        let text = "0123456789abcdef0123456789abcdef";
        assert_eq!(shared(text.as_bytes()), Ok(text.as_bytes()));
        let line = format!("{text}\r\n");
        assert_eq!(shared(line.as_bytes()), Ok(text.as_bytes()));
        let short = shared(b"0123456789abcdef0123456789abcde\n").unwrap_err();
        assert!(short.contains("at least 32 bytes"), "{short}");
        assert!(short.ends_with("not of 31"), "{short}");
    }
}
