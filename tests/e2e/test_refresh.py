"""Refreshing a real server (real Triton, real model): new tags, sudden deaths, steady load.

The full-size versions are `benchmarks/bench_refresh_kill.py` and `bench_refresh_load.py`.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data

from tests.refresh_client import NEW_SUBJECTS, PHOTOS, RefreshClient, same_answers
from tests.refresh_content import posts, write_posts
from tests.refresh_kill import KillTrials, Victim
from tests.refresh_load import StreamLoad
from tests.server_process import ServerProcess, wait_until

pytestmark = pytest.mark.triton

# As much of the CPU as everything else: tests do not wait for an idle machine.
NICE = "--refresh-nice=0"
# A photo, and subjects that it shows but that nobody would have thought of beforehand.
SUBJECTS = {
    "chelsea.png": "egyptian kitten",
    "motorcycle_left.png": "vintage motorcycle",
    "coffee.png": "espresso saucer",
}


@pytest.fixture
def content(tmp_path: Path) -> Path:
    return tmp_path / "content"


@pytest.fixture
def refreshing(warm_data_dir: Path, content: Path) -> Iterator[ServerProcess]:
    """A healthy server with a content folder of its own."""
    with ServerProcess(warm_data_dir, f"--content-dir={content}", NICE) as process:
        process.wait_serving()
        yield process


@pytest.mark.timeout(240)
def test_interest_of_new_content_becomes_a_tag_without_a_restart(
    refreshing: ServerProcess, content: Path
) -> None:
    client = RefreshClient(refreshing.channel)
    known = {phrase.lower() for phrase in client.interests().values()}
    new = {photo: subject for photo, subject in SUBJECTS.items() if subject not in known}
    assert new, "the shipped graph knows them all: think of others"
    for seed, subject in enumerate(SUBJECTS.values()):
        write_posts(content, "feed", posts(subject, 25, seed=seed))
    gateway = refreshing.process.pid

    response = client.refresh()

    assert response.added_count > 0
    assert response.graph_version == client.version() != response.base_version
    found = {}
    for photo, subject in new.items():
        version, tags = client.tag(photo, top_n=100)
        assert version == response.graph_version
        phrases = [phrase.lower() for _, phrase, _ in tags]
        if subject in phrases:
            found[photo] = phrases.index(subject)
    assert found, "no photo got a new tag"
    assert min(found.values()) < 10
    assert refreshing.process.pid == gateway
    assert refreshing.process.poll() is None
    assert refreshing.health("inkling.v1.GraphService") == "SERVING"


@pytest.mark.timeout(240)
def test_restart_serves_the_refreshed_graph_with_the_same_answers(
    warm_data_dir: Path, content: Path
) -> None:
    write_posts(content, "feed", posts("egyptian kitten", 25, seed=1))
    answers = []
    for start in range(2):
        with ServerProcess(warm_data_dir, f"--content-dir={content}", NICE) as process:
            process.wait_serving()
            client = RefreshClient(process.channel)
            if start == 0:
                client.refresh()
            answers.append(client.answers())
    assert same_answers(*answers)


@pytest.mark.timeout(300)
def test_gateways_of_one_graph_folder_serve_what_any_of_them_publishes(
    warm_data_dir: Path, tmp_path: Path, content: Path
) -> None:
    write_posts(content, "feed", posts("egyptian kitten", 25, seed=1))
    flags = [f"--content-dir={content}", f"--graph-dir={tmp_path / 'graph'}", NICE]
    flags.append("--graph-poll-s=0.2")
    # Only one starts with known embeddings: the other's own differ in their rounding.
    with (
        ServerProcess(warm_data_dir, *flags) as one,
        ServerProcess(tmp_path / "other", *flags) as other,
    ):
        one.wait_serving()
        other.wait_serving()
        mine, theirs = RefreshClient(one.channel), RefreshClient(other.channel)
        version = mine.refresh().graph_version
        wait_until("the other gateway follows", lambda: theirs.version() == version, 30)
        assert same_answers(mine.answers(), theirs.answers())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["refresh process", "server"])
def test_death_at_any_moment_of_a_refresh_leaves_a_whole_graph(
    warm_data_dir: Path, victim: Victim
) -> None:
    with KillTrials(warm_data_dir.parent, NICE, seed=7) as trials:
        trials.measure()
        kills = [trials.run(victim) for _ in range(3)]
        problems = trials.finish()
    assert [kill.problems for kill in kills] == [()] * 3
    assert any(kill.hit for kill in kills)
    assert problems == ()


@pytest.mark.timeout(300)
async def test_steady_stream_notices_nothing_of_refreshes(
    refreshing: ServerProcess, content: Path
) -> None:
    client = RefreshClient(refreshing.channel)
    pictures = [(Path(skimage.data.data_dir) / name).read_bytes() for name in PHOTOS]
    load = StreamLoad(refreshing.address, pictures, rate=8.0)
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(stop))
    interests = {client.version(): client.interests()}
    for number, subject in enumerate(NEW_SUBJECTS[::6][:3]):
        write_posts(content, "feed", posts(subject, 25, seed=number))
        response = await asyncio.to_thread(client.refresh)
        found = await asyncio.to_thread(client.interests, response.graph_version)
        assert subject in found.values()
        interests[response.graph_version] = found
    await asyncio.sleep(1)
    stop.set()
    await running
    assert load.failures == []
    assert load.mixed(interests) == []
    assert {answer.version for answer in load.answers} == set(interests)
