//! The rules of a sale: each verdict and each step by a table, and any sequence of calls by chance.

#[cfg(test)]
mod common;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod effects;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod verdicts;
