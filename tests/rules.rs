//! Every file below `rules/` is strict, sourced, and agrees with the others.

use gpudoctor::catalog::Catalog;

#[test]
fn every_file_decodes_and_every_name_is_known() {
    let problems: Vec<String> = Catalog::builtin().validate().iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}
