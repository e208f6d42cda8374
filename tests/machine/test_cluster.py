"""A Ray cluster of several nodes on this machine, one of which is killed while it works."""

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import tdd
from tdd.cli import main
from tdd.config import ClipConfig
from tdd.errors import TddError
from tdd.machine.cluster import RayCluster
from tdd.machine.parallel import parallel_map
from tdd.preprocess.prepare import prepare
from tdd.records.record import read_record
from tests.preprocess.trees import add_video
from tests.stores import random_store

pytestmark = pytest.mark.cluster
CLIP = ClipConfig(canvas=72, crop=42, view_crop=40, input_size=32)
NODES = 2
STORE_BYTES = 80 * 2**20


@pytest.fixture(scope="module")
def cluster():
    """Address of a head and a node of one core each, and the means to kill the node."""
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(tdd.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_log_monitor": False}
    head = {"include_dashboard": False, "no_monitor": True}
    running = Cluster()
    try:
        running.add_node(**size, **head, **_agent_ports())
        for _ in range(NODES - 1):
            running.add_node(**size, **_agent_ports())
        running.wait_for_nodes()
    except Exception as error:  # Ray gives up on a node after 30 s, which a busy machine may need
        running.shutdown()
        pytest.skip(f"no Ray cluster could be started here: {error}")
    yield running
    running.shutdown()


def _agent_ports():
    """Free ports for a node's helpers: told them, Ray does not give up when a busy machine starts the helpers late."""
    names = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in names]
        for one in sockets:
            one.bind(("", 0))
        return {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}


def fail_on_three(number):
    if number == 3:
        raise TddError("three is refused")
    return number * number


def die_on_three(number):
    if number == 3:
        os._exit(9)
    return number * number


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def folders(tmp_path):
    for name in ("data", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    return tmp_path / "data", tmp_path / "out"


def test_results_errors_and_killed_workers_are_as_on_one_machine(cluster, tmp_path):
    engine = RayCluster(cluster.address).engine(*folders(tmp_path))
    seen = []
    found = list(
        parallel_map(die_on_three, range(6), None, lambda *count: seen.append(count), engine, lambda _: "dead")
    )
    assert sorted(map(str, found)) == ["0", "1", "16", "25", "4", "dead"]
    assert seen == [(done, 6) for done in range(7)]
    with pytest.raises(TddError, match=r"^three is refused$"):
        list(parallel_map(fail_on_three, range(6), None, None, engine))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]


def test_what_machines_do_not_share_is_said_before_work_begins(cluster, tmp_path, monkeypatch):
    data, out = folders(tmp_path)
    handle = os.open(out, os.O_RDONLY)
    own = Path(f"/proc/self/fd/{handle}")  # this process's own name for a folder: others do not find it
    if not own.is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(TddError, match=r"does not see /proc.*file system that all machines share"):
        list(parallel_map(fail_on_three, [0], None, None, RayCluster(cluster.address).engine(data, own)))
    os.close(handle)
    monkeypatch.setattr(tdd, "__version__", "0.0.1")
    with pytest.raises(TddError, match=r"^Machine .* of the Ray cluster has tdd .* and not 0\.0\.1"):
        list(parallel_map(fail_on_three, [0], None, None, RayCluster(cluster.address).engine(data, out)))
    assert [path.name for path in out.iterdir()] == ["file"]


def test_a_study_on_the_cluster_has_the_records_of_one_machine(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random_store(tmp_path / "store")
    command = ["study", "table", "--store", "store", "--recipe", "tiny", "--rows", "ssl_0.3", "scratch", "--out"]
    assert main([*command, "cluster", "--engine", "ray", "--ray-address", cluster.address]) == 0
    assert main([*command, "alone", "--workers", "1"]) == 0
    runs = sorted(path.parent.relative_to("alone") for path in Path("alone").rglob("record.json"))
    assert len(runs) == 3
    for run in runs:
        there, here = (read_record(Path(place) / run) for place in ("cluster", "alone"))
        for key in ("metrics", "history", "recipe", "data", "row"):
            assert there[key] == here[key]
    assert Path("cluster/table/study.json").read_bytes() == Path("alone/table/study.json").read_bytes()


def test_a_node_killed_while_it_writes_leaves_the_store_of_one_machine(cluster, tmp_path):
    root = tmp_path / "data"
    for number in range(12):
        name = f"LRW/lipread_mp4/WORD/train/WORD_{number:05d}.mp4"
        add_video(root, name, 29 if number < 9 else 400, audio=True, seed=number)
    (root / "LRW/lipread_mp4/WORD/train/WORD_00012.mp4").write_bytes(b"")
    killed = []

    def kill_the_node_that_writes():
        ours = {node.all_processes["raylet"][0].process.pid: node for node in cluster.worker_nodes}
        while not killed:
            for path in (tmp_path / "store").rglob("WORD_0*.npy.*.partial"):
                worker = int(path.stem.rpartition("-")[2])
                parent = int(Path(f"/proc/{worker}/stat").read_text().split()[3])
                if parent in ours:
                    os.kill(worker, signal.SIGSTOP)  # in the middle of the file
                    cluster.remove_node(ours[parent], allow_graceful=False)
                    os.kill(worker, signal.SIGKILL)
                    killed.append(path)
                    return
            time.sleep(0.001)

    watcher = threading.Thread(target=kill_the_node_that_writes)
    watcher.start()
    try:
        done = prepare(root, tmp_path / "store", CLIP, cluster=RayCluster(cluster.address))
    finally:
        killed.append(None)
        watcher.join()
    assert killed[0] and done.made == 12 and len(done.failed) == 1
    prepare(root, tmp_path / "alone", CLIP, workers=1)
    assert contents(tmp_path / "store") == contents(tmp_path / "alone")


def test_ray_that_is_missing_or_out_of_reach_is_said(tmp_path, monkeypatch, capsys):
    add_video(tmp_path / "data", "LRW/lipread_mp4/WORD/train/WORD_00000.mp4", audio=True)
    command = ["prepare", "--root", str(tmp_path / "data"), "--out", str(tmp_path / "store")]
    assert main([*command, "--ray-address", "localhost:1"]) == 2
    assert "--engine ray" in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    assert main([*command, "--engine", "ray"]) == 2
    assert '[cluster]"' in capsys.readouterr().err
