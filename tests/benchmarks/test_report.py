"""Where a benchmark ran is told apart by its name."""

from pathlib import Path

from benchmarks.report import processor

ENTRY = "processor\t: {}\ncpu family\t: {}\nmodel\t\t: {}\nmodel name\t: {}\n"


def test_a_processor_whose_number_is_hidden_is_named_by_its_family(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("".join(ENTRY.format(core, 25, 17, "AMD EPYC") for core in range(2)))
    assert processor(info) == "AMD EPYC family 25 model 17"


def test_a_processor_with_a_number_is_called_as_its_kernel_calls_it(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(ENTRY.format(0, 25, 17, "AMD EPYC 9R14"))
    assert processor(info) == "AMD EPYC 9R14"
    info.write_text("CPU architecture: 8\n")
    assert processor(info) == processor(tmp_path / "none")
