//! The literals of the built-in expressions, which were derived when the program was built: parsing a thousand expressions takes
//! longer than reading a short log may.

use std::borrow::Cow;

use super::literal;

// Expressions with the literal that their rule gives, in this order, each with its literals.
include!(concat!(env!("OUT_DIR"), "/literals.rs"));

/// Texts, in ASCII lower case, of which each match of `expression` contains at least one; see [`literal::of`].
///
/// # Errors
/// When the expression is none, or when a match need not contain any text.
pub fn literals(expression: &str, given: Option<&str>) -> Result<Vec<Cow<'static, str>>, String> {
    let wanted = (expression, given.unwrap_or_default());
    match LITERALS.binary_search_by_key(&wanted, |(expression, given, _)| (expression, given)) {
        Ok(place) => Ok(LITERALS[place].2.iter().copied().map(Cow::Borrowed).collect()),
        Err(_) => literal::of(expression, given).map(|set| set.into_iter().map(Cow::Owned).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Cause};

    #[test]
    fn every_built_in_expression_is_prepared() {
        let catalog = Catalog::builtin();
        let of_causes = catalog.causes().iter().flat_map(Cause::expressions);
        for (expression, given) in of_causes.chain(catalog.signs().expressions().map(|expression| (expression, None))) {
            let wanted = (expression, given.unwrap_or_default());
            let place = LITERALS.binary_search_by_key(&wanted, |(expression, given, _)| (expression, given));
            let prepared = place.map(|place| LITERALS[place].2).unwrap_or_else(|_| panic!("not prepared: {expression}"));
            assert_eq!(literal::of(expression, given).as_deref().unwrap_or_default(), prepared, "{expression}");
        }
    }
}
