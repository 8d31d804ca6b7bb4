"""The command line: exit codes, JSON, what PATH narrows, who may run what beside whom."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.host import Host

A = '[bridge.br-a]\nmtu = 1400\n\n[namespace.a.veth.eth0]\npeer = { name = "to-a", master = "br-b" }\n'
B = '[bridge.br-b]\naddresses = ["10.2.0.1/24", "fd02::1/64"]\n'
USER = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
READ = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]


def names(changes: list[dict[str, str]]) -> set[str]:
    return {each["object"] for each in changes}


# diff and apply


def test_diff_tells_what_apply_will_do_and_then_that_all_is_in_sync(host: Host) -> None:
    host.write("lab.toml", A + B)
    told = host.netd("diff", "--json", check=2).json
    assert {"bridge/br-a", "bridge/br-b", "namespace/a", "a:veth/eth0", "address/br-b/10.2.0.1/24"} <= names(
        told["changes"]
    )
    assert {each["action"] for each in told["changes"]} == {"create"}
    assert all(each["file"] == "/etc/netd/lab.toml" for each in told["changes"])
    assert names(host.apply()["changes"]) == names(told["changes"])
    told = host.netd("diff", "--json").json
    assert (told["changes"], told["pending"]) == ([], [])
    assert host.apply()["changes"] == []


def test_diff_shows_a_field_as_it_is_and_as_it_is_wanted(host: Host) -> None:
    host.write("lab.toml", A + B)
    host.apply()
    host.run("ip", "link", "set", "br-a", "mtu", "1280")
    (change,) = host.netd("diff", "--json", check=2).json["changes"]
    assert (change["object"], change["action"]) == ("bridge/br-a", "update")
    assert change["fields"] == {"mtu": {"want": 1400, "have": 1280}}
    text = host.netd("diff", check=2).stdout
    assert "bridge/br-a" in text and "1280" in text and "1400" in text and "lab.toml" in text
    assert host.link("br-a")["mtu"] == 1280, "diff has changed nothing"


def test_diff_shows_what_will_go(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.apply()
    host.remove("b.toml")
    told = host.netd("diff", "--json", check=2).json["changes"]
    assert ("bridge/br-b", "delete") in {(each["object"], each["action"]) for each in told}
    host.apply()
    assert host.link("br-b") is None


def test_what_is_pending_is_told_and_is_no_difference(host: Host) -> None:
    host.write("lab.toml", '[vxlan.x0]\nvni = 7\ndev = "eth7"\nremote = "10.0.0.1"\n')
    told = host.apply()
    (pending,) = (each for each in told["pending"] if each["object"] == "vxlan/x0")
    assert "eth7" in pending["reason"]
    assert host.netd("diff", "--json").json["changes"] == []
    assert "eth7" in host.netd("diff").stdout


def test_a_link_is_built_unplugged_while_its_master_is_missing(host: Host) -> None:
    host.write("lab.toml", '[veth.v0]\nmaster = "brx"\npeer = { name = "v1" }\n')
    host.daemon()
    assert host.link("v0") is not None
    assert host.state("veth/v0") == "pending"
    host.run("ip", "link", "add", "brx", "type", "bridge")
    host.until(lambda: host.link("v0").get("master") == "brx", "it is plugged in")
    host.until(lambda: host.state("veth/v0") == "ok", "and ok")


# PATH


def test_path_narrows_what_is_built(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    told = host.netd("diff", "--json", "/etc/netd/b.toml", check=2).json["changes"]
    assert names(told) == {"bridge/br-b", "address/br-b/10.2.0.1/24", "address/br-b/fd02::1/64"}
    host.netd("apply", "/etc/netd/b.toml")
    assert host.names() == {"br-b"} and host.namespaces() == set()
    host.netd("diff", "/etc/netd/b.toml", check=0)
    host.netd("diff", check=2)


def test_what_a_path_refers_to_elsewhere_is_not_built(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.netd("apply", "/etc/netd/a.toml")
    assert host.link("br-b") is None
    assert "master" not in host.link("to-a")
    host.apply()
    assert host.link("to-a")["master"] == "br-b"


def test_a_path_that_is_gone_means_that_its_objects_go(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.apply()
    host.remove("a.toml")
    host.remove("b.toml")
    host.netd("apply", "/etc/netd/b.toml")
    assert host.link("br-b") is None
    assert host.link("br-a") is not None, "it is not that file's"
    host.apply()
    assert host.names() == set()


def test_a_path_outside_the_directory_is_read_instead_of_it(host: Host) -> None:
    host.write("a.toml", A)
    host.write("/run/lab/x.toml", "[bridge.br-x]\n")
    host.netd("apply", "/run/lab/x.toml")
    assert host.names() == {"br-x"}
    host.netd("down", "/run/lab/x.toml")
    assert host.names() == set()


def test_down_of_a_path_takes_what_that_file_made(host: Host) -> None:
    host.write("a.toml", A)
    host.write("b.toml", B)
    host.apply()
    host.remove("b.toml")
    host.netd("down", "/etc/netd/b.toml")
    assert host.link("br-b") is None and host.link("br-a") is not None and host.namespaces() == {"a"}


def test_down_takes_all_and_gives_back_what_was_found(host: Host) -> None:
    host.run("sysctl", "-qw", "net.ipv4.ip_default_ttl=70")
    host.write("lab.toml", A + B + "[sysctl]\nnet.ipv4.ip_default_ttl = 80\n[[nat.masquerade]]\nout = 'eth0'\n")
    host.apply()
    host.netd("down")
    assert host.names() == set() and host.namespaces() == set() and host.nft() == []
    assert host.sysctl("net.ipv4.ip_default_ttl") == "70"
    host.netd("down")


# The daemon's commands


def test_status_says_what_the_daemon_holds(host: Host) -> None:
    host.write("lab.toml", A + B)
    host.daemon()
    status = host.status()
    assert status["state"] == "converged"
    assert [(each["path"], each["state"]) for each in status["files"]] == [("/etc/netd/lab.toml", "ok")]
    rows = {each["object"]: each for each in status["objects"]}
    veth = rows["a:veth/eth0"]
    assert {key: veth[key] for key in ("kind", "namespace", "name", "file", "state")} == {
        "kind": "veth", "namespace": "a", "name": "eth0", "file": "/etc/netd/lab.toml", "state": "ok",
    }  # fmt: skip
    assert {"reason", "repairs", "last_repair"} <= veth.keys()
    assert rows["address/br-b/10.2.0.1/24"]["namespace"] == ""
    before = rows["bridge/br-a"]["repairs"]
    host.run("ip", "link", "set", "br-a", "mtu", "1280")
    host.until(lambda: host.link("br-a")["mtu"] == 1400, "the MTU is back")

    def repaired() -> bool:
        row = next(each for each in host.status()["objects"] if each["object"] == "bridge/br-a")
        return bool(row["repairs"] == before + 1 and row["last_repair"])

    host.until(repaired, "one repair is counted")
    assert "ok     bridge/br-a  1 repair, " in host.netd("status", "br-a").stdout


def test_status_and_reload_without_a_daemon_say_so_in_one_line(host: Host) -> None:
    for verb in ("status", "reload"):
        done = host.netd(verb, check=1)
        assert done.stderr == "netd: netd is not running: start it with 'systemctl start netd'\n"


def test_status_says_degraded_by_its_exit_code(host: Host) -> None:
    host.run("ip", "link", "add", "br-a", "type", "veth", "peer", "name", "other")
    host.write("lab.toml", A)
    host.daemon()
    done = host.netd("status", "--json", check=2)
    assert done.json["state"] == "degraded"
    assert next(each for each in done.json["objects"] if each["object"] == "bridge/br-a")["state"] == "conflict"


def test_reload_waits_for_the_round(host: Host) -> None:
    host.daemon()
    host.write("lab.toml", A + B)
    host.netd("reload")
    assert host.names() == {"br-a", "br-b", "to-a"}
    host.remove("lab.toml")
    host.netd("reload")
    assert host.names() == set()


def test_reload_tells_the_mistakes(host: Host) -> None:
    host.daemon()
    host.write("lab.toml", "[bridge.br0]\nmtuu = 3\n")
    done = host.netd("reload", check=1)
    assert "/etc/netd/lab.toml:2:1" in done.text
    assert "did you mean 'mtu'" in done.text


@pytest.mark.parametrize("verb", ["apply", "down"])
def test_apply_and_down_refuse_beside_the_daemon(host: Host, verb: str) -> None:
    host.write("lab.toml", B)
    daemon = host.daemon()
    done = host.netd(verb, check=1)
    assert len(done.stderr.splitlines()) == 1 and "'systemctl stop netd'" in done.stderr
    assert host.link("br-b") is not None
    daemon.stop()
    host.netd(verb)


def test_a_second_daemon_refuses(host: Host) -> None:
    host.daemon()
    done = host.netd("run", check=1)
    assert len(done.stderr.splitlines()) >= 1 and "Traceback" not in done.stderr


def test_hangup_reads_the_files_again(host: Host) -> None:
    daemon = host.daemon()
    host.write("lab.toml", B)
    daemon.signal(signal.SIGHUP)
    host.until(lambda: host.link("br-b"), "the bridge stands")
    assert daemon.popen.poll() is None


def test_the_daemon_tells_systemd_how_it_is(host: Host) -> None:
    host.write("lab.toml", A + B)
    daemon = host.daemon()
    host.until(lambda: daemon.told("STATUS="), "a status line")
    assert any("ok" in line for line in daemon.notified if line.startswith("STATUS="))
    host.netd("reload")
    host.until(lambda: daemon.told("RELOADING=1"), "RELOADING")
    assert daemon.stop() == 0
    assert daemon.told("STOPPING=1")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("lab.toml", '["bridge"."brücke→"]\nmtv = 1\n', "brücke→"),
        ("ключ.toml", "[bridge.", "ключ.toml"),
        ("\udcff.toml", "[bridge.", "\\udcff.toml"),
        ("lab.toml", '"a\\nFDSTORE=1\\u0000\\u2028\\u001b" = 1\n', "FDSTORE=1"),
        ("lab.toml", f'"{"ж" * 5000}" = 1\n', "жжж"),
    ],
    ids=["of text", "of a file's name", "of a name that is no UTF-8", "that ends the line", "too long"],
)
def test_systemd_hears_of_readiness_whatever_an_error_is_about(host: Host, name: str, text: str, told: str) -> None:
    host.write("a.toml", A)
    daemon = host.daemon()
    host.write(name, text)
    host.netd("reload", check=1)
    host.until(lambda: daemon.told("RELOADING=1") and told in daemon.notified[-1], "a status with the mistake")
    assert all(each.startswith(("READY=1", "STATUS=", "RELOADING=1", "MONOTONIC_USEC=")) for each in daemon.notified)
    reloaded = daemon.notified[daemon.notified.index("RELOADING=1") :]
    assert "READY=1" in reloaded
    assert all(len(each.encode()) < 4000 and "\0" not in each for each in reloaded)
    assert daemon.stop() == 0
    daemon = host.daemon()
    assert any(told in each for each in daemon.notified)


def test_a_failed_object_does_not_hold_up_readiness(host: Host) -> None:
    host.run("ip", "link", "add", "br-a", "type", "veth", "peer", "name", "other")
    host.write("lab.toml", A + B)
    daemon = host.daemon()
    host.until(lambda: daemon.told("STATUS="), "a status line")
    assert host.link("br-b") is not None


# The rest


@pytest.mark.parametrize("verb", ["apply", "run", "down", "diff"])
def test_without_root_one_line_says_so(host: Host, verb: str) -> None:
    host.write("lab.toml", B)
    done = host.netd_as([*USER, *READ], verb)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "root" in done.stderr


@pytest.mark.parametrize("line", ["diff --bogus", "status --more", "bogus", "", "exec", "--state-dir diff"])
def test_a_command_line_that_is_not_understood_is_an_error_and_no_difference(host: Host, line: str) -> None:
    result = host.netd(*line.split(), check=1)
    assert "usage: netd" in result.stderr and "--help" in result.stderr


def test_a_misspelled_command_is_answered_with_the_one_that_was_meant(host: Host) -> None:
    said = host.netd("stauts", check=1).stderr.splitlines()[-1]
    assert said == "netd: there is no command 'stauts': did you mean 'status'? ('netd --help' lists the commands)"
    assert ": did you mean 'failed'? (" in host.netd("status", "--state", "faild", check=1).stderr
    assert "'abc' is no number of seconds" in host.netd("wait", "--timeout", "abc", check=1).stderr


def test_a_directory_may_be_called_like_a_command(host: Host) -> None:
    host.write("a.toml", A)
    result = host.netd("--state-dir", "status", "diff", check=2)
    assert "to add" in result.stdout


def test_the_directory_of_names_is_made_as_ip_netns_makes_it_whatever_the_umask(host: Host) -> None:
    def mode() -> str:
        return host.run("stat", "-c", "%a", "/run/netns").strip()

    host.write("lab.toml", A)
    strict = ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    assert host.netd_as(strict, "apply").returncode == 0
    assert mode() == "755"
    host.sh("ip netns del a; umount /run/netns; rmdir /run/netns; mkdir -m 700 /run/netns")
    assert host.netd_as(strict, "apply").returncode == 0
    assert mode() == "700", "one that was there stays as it is"


def test_exec_runs_a_command_in_a_namespace(host: Host) -> None:
    host.write("lab.toml", A)
    host.apply()
    links = json.loads(host.netd("exec", "a", "ip", "-j", "link").stdout)
    assert {each["ifname"] for each in links} == {"lo", "eth0"}
    assert host.netd("exec", "a", "sh", "-c", "exit 7", check=7).stdout == ""
    missing = host.netd("exec", "nowhere", "true", check=None)
    assert missing.returncode != 0 and "nowhere" in missing.stderr and "Traceback" not in missing.stderr


@pytest.mark.parametrize("verb", ["", "run", "check", "diff", "apply", "reload", "down", "status", "exec"])
def test_every_command_explains_itself(host: Host, verb: str) -> None:
    assert "usage" in host.netd(*filter(None, [verb]), "--help").stdout.lower()


def test_directories_may_be_given_by_option_and_by_environment(host: Host) -> None:
    before = host.kept()
    host.write("/run/my/etc/x.toml", B)
    host.netd("--config-dir", "/run/my/etc", "--state-dir", "/run/my/run", "--cache-dir", "/run/my/lib", "apply")
    assert host.link("br-b") is not None
    assert host.kept() == before
    folders = {"NETD_CONFIG_DIR": "/run/my/etc", "NETD_STATE_DIR": "/run/my/run", "NETD_CACHE_DIR": "/run/my/lib"}
    done = host.netd_as([], "diff", env=folders)
    assert done.returncode == 0, done.text
