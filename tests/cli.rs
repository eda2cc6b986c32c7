//! The program as its users meet it: `tests/cli/*.trycmd` are sessions that must come out as written.
//! `TRYCMD=overwrite cargo test --test cli` rewrites them.

#[test]
fn sessions_come_out_as_written() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd");
}
