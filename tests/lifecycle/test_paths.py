"""A folder that may not be read is an error, not a folder without files."""

import subprocess
import sys
import textwrap
from pathlib import Path

from lifecycle.paths import files_at


def test_folder_below_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "open.csv").write_text("a\n")
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "more.csv").write_text("a\n")
    assert [file.name for file in files_at(tmp_path, (".csv",))] == ["more.csv", "open.csv"]
    closed.chmod(0)
    tmp_path.chmod(0o755)
    lines = f"""
        import os
        from pathlib import Path
        from lifecycle.paths import files_at
        os.chdir({str(tmp_path)!r})
        if os.getuid() == 0:
            os.setuid(65534)  # root may read everything
        try:
            files_at(Path("."), (".csv",))
        except PermissionError as error:
            print(error)
    """
    words = [sys.executable, "-c", textwrap.dedent(lines)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    assert told.stdout == "[Errno 13] Permission denied: './closed'\n"


def test_recipe_that_may_not_be_read_ends_a_job_in_one_line() -> None:
    words = [sys.executable, "-m", "training.prepare", "--config", "/proc/self/mem"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "training.prepare: [Errno 5] Input/output error" in done.stderr
