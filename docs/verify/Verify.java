import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

final class Verify {
    private static final Pattern SIGNATURE = Pattern.compile("v1=([\\w-]+):([0-9a-f]{64})");

    /**
     * Whether seckill-proxy has sent this request. In a servlet, target is getRequestURI() with "?"
     * and getQueryString() if there is one, and header is request::getHeader.
     */
    static boolean verify(String method, String target, UnaryOperator<String> header,
            Map<String, byte[]> keys, long nowSeconds) throws GeneralSecurityException {
        Matcher signature = SIGNATURE.matcher(told(header, "Signature"));
        String timestamp = told(header, "Timestamp");
        if (!signature.matches() || !keys.containsKey(signature.group(1))
                || !timestamp.matches("[0-9]{1,12}")
                || Math.abs(nowSeconds - Long.parseLong(timestamp)) > 300) {
            return false;
        }
        String text = String.join("\n", "v1", timestamp, method, target, told(header, "Sale"),
                told(header, "User"), told(header, "Reservation"), told(header, "Quantity"));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(keys.get(signature.group(1)), "HmacSHA256"));
        byte[] expected = mac.doFinal(text.getBytes(StandardCharsets.ISO_8859_1));
        return MessageDigest.isEqual(expected, HexFormat.of().parseHex(signature.group(2)));
    }

    private static String told(UnaryOperator<String> header, String name) {
        return Objects.requireNonNullElse(header.apply("Seckill-" + name), "");
    }
}
