"""A real Slurm of two nodes on this machine, for tests: on loopback only, ended by process id.

munged, slurmctld and two slurmd run in the foreground as children of the test, with all they write
in a temporary folder. Slurm's accounting database does not run: a stand-in for sacct asks
slurmctld instead.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
REMEDY = "apt-get install slurm-wlm munge"

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
ReturnToService=2
JobRequeue=1
KillWait=2
MinJobAge=3600
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=3 RealMemory=16000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=3 RealMemory=16000
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

SACCT = """#!/bin/sh
# A stand-in for sacct: where accounting is off, slurmctld still remembers the jobs that ended.
jobs=
while [ $# -gt 0 ]; do
  if [ "$1" = -j ]; then jobs="$jobs,$2"; shift; fi
  shift
done
echo "JobID|State|NodeList"
squeue --noheader --array --states=all --jobs="${jobs#,}" --format="%i|%T|%N"
"""


def missing() -> list[str]:
    """Which of Slurm's programs this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


@dataclass(frozen=True)
class Slurm:
    """A cluster that runs."""

    folder: Path
    environment: dict[str, str]
    """With it, Slurm's programs speak to this cluster."""

    def __call__(self, *words: str) -> str:
        """What one of Slurm's programs prints. If slurmctld is gone they wait, but not for ever."""
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout.strip()


@contextmanager
def cluster(folder: Path) -> Iterator[Slurm]:
    """Nodes n1 and n2 of three cores each, for as long as the context lasts."""
    places = {name: folder / name for name in ("bin", "munge", "state", "spool-n1", "spool-n2")}
    for place in places.values():
        place.mkdir(mode=0o755)
    key, munge = places["munge"] / "key", places["munge"] / "socket"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    sacct = places["bin"] / "sacct"
    sacct.write_text(SACCT)
    sacct.chmod(0o755)
    conf = folder / "slurm.conf"
    host, user = socket.gethostname().partition(".")[0], getpass.getuser()
    conf.write_text(CONF.format(host=host, user=user, folder=folder, ports=_free_ports(3)))
    slurm = Slurm(
        folder,
        {**os.environ, "SLURM_CONF": str(conf), "PATH": f"{places['bin']}:{PATH}"},
    )
    daemons: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> None:
        with (folder / f"{words[0]}.out").open("ab") as out:
            daemons.append(subprocess.Popen(words, env=slurm.environment, stdout=out, stderr=out))

    try:
        start(
            *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}"),
            *(f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed"),
            f"--log-file={folder}/munged.log",
        )
        wait_until(munge.exists, 20, "munged")
        start("slurmctld", "-D", "-f", str(conf))
        for node in ("n1", "n2"):
            start("slurmd", "-D", "-f", str(conf), "-N", node)
        wait_until(lambda: _idle(slurm) == 2, 60, "two nodes")
        yield slurm
    finally:
        _stop(slurm, daemons)


def wait_until(true: Callable[[], object], seconds: float, what: str) -> None:
    """Look again and again until something is true.

    Raises:
        TimeoutError: it does not come true in time.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _idle(slurm: Slurm) -> int:
    with suppress(subprocess.CalledProcessError):
        return slurm("sinfo", "--noheader", "--Node", "--states=idle").count("idle")
    return 0


def _stop(slurm: Slurm, daemons: list[subprocess.Popen[bytes]]) -> None:
    """End the jobs, then the daemons, the youngest first."""
    with suppress(subprocess.SubprocessError, TimeoutError):
        slurm("scancel", f"--user={getpass.getuser()}")
        wait_until(lambda: not slurm("squeue", "--noheader"), 20, "the jobs to end")
    for daemon in reversed(daemons):
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
