"""What Windows and macOS would trip over, as far as it shows on Linux."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ds2f.io.files import portable

SOURCES = sorted((Path(__file__).parents[1] / "src" / "ds2f").rglob("*.py"))
# Of Python's documentation: "Availability: Unix", or not on macOS.
MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
NAMES = {
    "os": "chown chroot confstr fchmod fork forkpty getegid geteuid getgid getgroups getloadavg getpgid getpgrp getuid"
    " kill killpg lchown mkfifo mknod nice openpty posix_fadvise posix_fallocate pread pwrite register_at_fork"
    " sched_getaffinity sched_setaffinity sendfile setgid setpgid setsid setuid statvfs sync sysconf uname wait",
    "signal": "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm pause pthread_kill"
    " setitimer siginterrupt sigwait",
    "socket": "AF_UNIX",
    "time": "clock_gettime pthread_getcpuclockid tzset",
    "multiprocessing": "set_start_method",
}
POSIX = {f"{module}.{name}" for module, names in NAMES.items() for name in names.split()}
FOLDERS = {"training/checkpoint.py", "dataset/export.py"}
"""What they rename are folders; a file is moved by `replace`, as on Windows `rename` refuses what is there."""


def _unguarded(tree: ast.AST, guarded: bool = False) -> Iterator[tuple[int, str]]:
    """(line, name) of what not every system has, outside of functions that ask which system this is."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            asks = "sys.platform" in (text := ast.unparse(node)) or "hasattr(" in text
            yield from _unguarded(node, guarded or asks)
            continue
        if not guarded:
            if isinstance(node, ast.Attribute) and (name := ast.unparse(node)) in POSIX:
                yield node.lineno, name
            if isinstance(node, ast.Import):
                yield from ((node.lineno, one.name) for one in node.names if one.name in MODULES)
            if isinstance(node, ast.ImportFrom) and node.module in {*MODULES, *NAMES}:
                bad = (f"{node.module}.{one.name}" for one in node.names)
                yield from ((node.lineno, one) for one in bad if node.module in MODULES or one in POSIX)
            if isinstance(node, ast.Constant) and node.value in ("fork", "forkserver"):
                yield node.lineno, node.value
        yield from _unguarded(node, guarded)


def test_nothing_is_used_that_only_posix_has_without_asking_for_the_system() -> None:
    found = [
        f"{path}:{line} {name}" for path in SOURCES for line, name in _unguarded(ast.parse(path.read_text("utf-8")))
    ]
    assert not found
    assert list(_unguarded(ast.parse("import fcntl\ndef f():\n    os.kill(1, signal.SIGKILL)"))) == [
        (1, "fcntl"),
        (3, "os.kill"),
        (3, "signal.SIGKILL"),
    ]


def test_text_files_are_read_and_written_as_utf_8() -> None:
    """Python's default on Windows is another one."""
    wrong = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                said = ast.unparse(node)
                if node.func.attr in ("read_text", "write_text") and "utf-8" not in said and "encoding" not in said:
                    wrong.append(f"{path}:{node.lineno} {said}")
    assert not wrong


def test_files_take_the_place_of_others_by_replace() -> None:
    renames = {
        "/".join(path.parts[-2:])
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "rename"
    }
    assert renames <= FOLDERS


@pytest.mark.parametrize(
    ("path", "everywhere"),
    [
        ("a/b-0", "a/b-0"),
        ("id00012/21Uxsk56VDQ/00001", "id00012/21Uxsk56VDQ/00001"),
        ("talk 12:30", "talk 12_30"),
        ('<a>"b"|c?*', "_a__b__c__"),
        ("con/NUL.tar", "con_/NUL_.tar"),
        ("console/lpt10", "console/lpt10"),
        ("Dr./end ", "Dr_/end_"),
        ("./a/..", "./a/._"),
    ],
)
def test_names_that_every_system_takes(path: str, everywhere: str) -> None:
    assert portable(path) == everywhere
    assert portable(everywhere) == everywhere
