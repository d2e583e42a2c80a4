//! What a program is shown of the CPU: words that mean nothing are refused, and where nothing can be hidden the cell says why.

use crate::elf;
use crate::ground::{Ground, text, told};

#[test]
fn a_cpu_that_a_runtime_cannot_show_is_refused() {
    let ground = Ground::new();
    let speaker = elf::speaker(&ground.path("speaker"), b"hello\n", 5).display().to_string();
    for (runtime, with) in [
        ("microvm{cpu=sse9}", "cpu = \"sse9\": \"sse9\" is none of host, baseline, avx2"),
        ("microvm{cpu=host-avx512}", "\"avx512\" is none of"),
        ("process{cpu=baseline}", "it does not offer hiding features of the CPU; remove the parameter cpu"),
    ] {
        let output = ground.expect(&["exec", "--runtime", runtime, "--", &speaker], 2);
        assert!(told(&output).contains(with) && output.stdout.is_empty(), "{}", told(&output));
    }
    let said = ground.expect(&["exec", "--runtime", "process{cpu=host}", "--", &speaker], 5);
    assert_eq!(said.stdout, b"hello\n");
}

#[test]
fn a_cell_whose_features_cannot_be_hidden_is_skipped_with_the_reason() {
    let ground = Ground::new();
    let plan = "name = 'p'\nblocks = 2\n[[ask]]\nscenario = 'throughput'\n\
                params = { kernel = 'fft', n = 256, millis = 5, cpu = ['host', 'avx2'] }\n";
    ground.write("plan.toml", plan);
    ground.expect(&["run", "--plan", "plan.toml", "--out", "run"], 0);
    let summary = ground.json("run/summary.json");
    let cells = summary["cells"].as_array().unwrap();
    for cell in cells.iter().filter(|cell| cell["scenario"] == "throughput" && cell["arm"].is_null()) {
        let (runtime, cpu) = (text(&cell["runtime"]), text(&cell["params"]["cpu"]));
        let reason = cell["reason"].as_str().unwrap_or_default();
        let expected = match (runtime.as_str(), cpu.as_str()) {
            (_, "host") => continue,
            // Hidden indeed: the payload was asked, or the trial would have failed.
            ("microvm", _) if cell["status"] == "ok" => continue,
            ("microvm", _) => "kvm",
            _ => "does not offer hiding features of the cpu",
        };
        assert_eq!(cell["status"], "skipped", "{cell}");
        assert!(reason.to_lowercase().contains(expected), "{runtime}: {reason}");
    }
    assert!(cells.iter().any(|cell| cell["params"]["cpu"] == "avx2"), "{summary}");
}
