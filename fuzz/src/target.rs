//! What reads bytes that others made: one function a parser, from any bytes to nothing, that panics if a promise breaks.
//!
//! cargo-fuzz and the tests on stable drive the same functions. They hold the promises that a crash alone would not show:
//! what is accepted lies inside its bounds, what is refused is refused in one sentence, and what is shown holds nothing
//! that a terminal would obey.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "every test uses its own part of it")]

/// A parser, where its inputs begin, and the words that it knows.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
    /// Inputs that it accepts.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces that mutations insert: lists that are drawn from alike.
    pub words: &'static [&'static [&'static [u8]]],
    /// How many inputs of a quick parser one of it takes the time of.
    pub cost: u64,
}

/// Numbers at which arithmetic breaks.
pub const NUMBERS: &[&[u8]] = &[
    &[0; 8],
    &[0xff; 8],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0, 0x10, 0, 0, 0, 0, 0, 0],
    &[0, 0, 0x20, 0, 0, 0, 0, 0],
    &[0, 0, 0, 1, 0, 0, 0, 0],
    &[0xff, 0x0f, 0, 0],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/// Keys and tables of the TOML files.
pub const TOML: &[&[u8]] = &[
    b"name = ",
    b"blocks = ",
    b"every = ",
    b"[[ask]]\n",
    b"scenario = 'startup'\n",
    b"params = { ",
    b"kinds = ['vm']\n",
    b"controls = ",
    b"precision = 'auto'\n",
    b"[default]\n",
    b"[[limit]]\n",
    b"relative = ",
    b"absolute = \"3 us\"\n",
    b"ignore = true\n",
    b"runtime = ",
    b"metric = ",
    b"command = [",
    b"[[create]]\n",
    b"[start]\n",
    b"[probe]\n",
    b"[rule]\n",
    b"[[part]]\n",
    b"\"\"\"",
    b"'''",
    b"#",
    b"\xef\xbb\xbf",
    b"1979-05-27T07:32:00Z",
    b"0x7fffffffffffffff",
    b"-0.0",
    b"inf",
    b"{program}",
    b"{args}",
];

/// Keys and values of the JSON files.
pub const JSON: &[&[u8]] = &[
    b"\"cells\":",
    b"\"runtimes\":",
    b"\"metrics\":",
    b"\"params\":{\"instances\":2},",
    b"\"skipped\":{\"reason\":\"x\",\"remedy\":\"y\"},",
    b"\"arm\":{\"label\":\"again\",\"of\":0,\"control\":true},",
    b"\"arm\":{\"label\":\"b\",\"of\":1},",
    b"\"part\":{\"part\":1,\"of\":2},",
    b"\"precision\":\"auto\",",
    b"\"every\":0,",
    b"\"warmup\":true,",
    b"\"cell\":1,",
    b"\"block\":4294967295,",
    b"\"phases\":[[\"create\",1],[\"start\",18446744073709551615],[\"start\",1]],",
    b"\"steps\":[[\"clone\",0],[\"main\",18446744073709551615]],",
    b"\"series\":{\"x\":[0,1e308,-1e308]},",
    b"\"notes\":{\"sum\":\"0\"},",
    b"\"values\":{\"startup\":0},",
    b"\"values\":{\"startup\":-1e308},",
    b"\"values\":{\"startup\":5e-324},",
    b"\"failed\":{\"phase\":null,\"kind\":\"os\",\"message\":\"x\"},",
    b"\"psi_cpu\":2,",
    b"1.7976931348623157e308",
    b"-0.0",
    b"4294967296",
    b"\\u2028",
    b"\\ud83d\\ude00",
    b"</script>",
    b"<!--",
    b"]]>",
    b"\xef\xbb\xbf",
    b"process",
    b"microvm",
    b"namespace",
    b"\"kind\":\"floor\"",
];

/// Pieces of the languages that are read here, and of those that must not be spoken.
pub const WORDS: &[&[u8]] = &[
    b"\n",
    b"\"",
    b"'",
    b"=",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[ask]]",
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"null",
    b"true",
    b"18446744073709551615",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\x1b[31m",
    b"\x1b]0;x\x07",
    b"../",
    b"/etc/passwd",
    b"{root}",
    b"{{",
    b"%s",
    b"\xe2\x80\xae",
    b"[[[[[[[[[[[[",
    b"{{{{{{{{{{{{",
    b"\r\n",
    b"a.b.c.d.e",
    b"0x",
    b"1_0",
    b"done ",
    b"error ",
    b"ready",
    b" ",
    b",",
];
