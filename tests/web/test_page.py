"""What a person sees of the network, and does, on the page."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.support.host import Host

from .conftest import browser, serve


def test_a_break_is_a_line_of_the_story_and_the_link_flashes(page: Page, lab: Host) -> None:
    expect(page.locator("#state")).to_contain_text("converged")
    lab.sh("ip -n h1 address flush dev eth0")
    line = page.locator("#changes li", has_text="h1:address/eth0/10.5.0.1/24").first
    expect(line).to_contain_text("address restored")
    assert page.evaluate("netd.picture.cy.nodes('.flash').length") > 0
    page.fill("#filter", "h2")
    expect(line).to_be_hidden()


def test_a_link_is_found_by_its_name_and_told_about(page: Page, lab: Host) -> None:
    page.keyboard.press("/")
    page.keyboard.type("h2:eth0")
    page.keyboard.press("Enter")
    expect(page.locator("#about")).to_contain_text("10.5.0.2/24")
    expect(page.locator("#about")).to_contain_text("/etc/netd/lab.toml")
    assert page.url.endswith("#h2%3Aeth0")
    page.reload()
    expect(page.locator("#about")).to_contain_text("10.5.0.2/24")


def test_a_trace_is_told_and_drawn(page: Page, lab: Host) -> None:
    page.fill("#from", "h1")
    page.fill("#to", "h2")
    page.click("#trace button")
    expect(page.locator("#about")).to_contain_text("the packet arrives")
    expect(page.locator("#about")).to_contain_text("the answer arrives")
    assert page.evaluate("netd.picture.cy.nodes('.way').map(each => each.id()).sort()") == [
        "br0", "h1:eth0", "h2", "h2:eth0",
    ]  # fmt: skip
    lab.sh("ip link add dead up type bridge")
    page.fill("#to", "10.99.0.1")
    page.click("#trace button")
    expect(page.locator("#about")).to_contain_text("the packet is lost")


def test_the_daemon_is_away_and_comes_back_by_itself(page: Page, lab: Host) -> None:
    daemon = lab.processes[0]
    daemon.kill()
    expect(page.locator("#state")).to_contain_text("netd is away")
    lab.daemon()
    expect(page.locator("#state")).to_contain_text("converged")


def test_everything_is_reached_by_the_keyboard(page: Page) -> None:
    page.focus("#picture")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("netd.picture.selected")
    page.evaluate("netd.picture.select('namespace h1')")
    page.keyboard.press("Enter")
    assert page.evaluate("netd.picture.open.has('h1')") is False
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    page.locator("#rows tr").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_visible()


def test_it_is_usable_in_the_dark_and_on_a_narrow_screen(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator("#picture")).to_be_visible()


def test_names_from_the_kernel_are_text(page: Page, lab: Host) -> None:
    lab.sh("ip link add '<img>' type bridge; ip link add '<b>x' type bridge")
    lab.sh("ip link set dev br0 alias '<script>alert(1)</script>'")
    lab.sh("ip netns add '<i>hostile'; ip -n h3 address flush dev eth0")
    expect(page.locator("#rows")).to_contain_text("<")
    assert page.locator("#rows b, #rows img, #about script, #changes i").count() == 0


def test_other_hosts_and_other_methods_are_refused(lab: Host) -> None:
    def status(*args: str) -> str:
        return lab.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *args, "http://127.0.0.1:8080/api/graph")

    assert status() == "200"
    assert status("-H", "Host: evil.example") == "403"
    assert status("-X", "POST") == "405"
    headers = lab.run("curl", "-sI", "http://127.0.0.1:8080/")
    assert "default-src 'none'" in headers and "unsafe" not in headers


def test_beyond_this_machine_it_wants_a_token(lab: Host) -> None:
    assert "--token-file" in lab.netd("web", "--listen", "0.0.0.0:8081", check=1).stderr
    lab.file("/run/token").write_text("0123456789abcdef0123\n", encoding="ascii")
    lab.file("/run/token").chmod(0o600)
    serve(lab, "--listen", "0.0.0.0:8081", "--token-file", "/run/token")
    url = "http://10.5.0.254:8081/api/graph"
    assert lab.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url) == "401"
    bearer = ("-H", "Authorization: Bearer 0123456789abcdef0123")
    assert json.loads(lab.run("curl", "-s", *bearer, url))["version"] == 1


def test_a_large_lab_opens_closed_and_answers_clicks(host: Host) -> None:
    host.sh("ip link set lo up")
    host.write(
        "lab.toml", '[bridge.br0]\n[namespace."n{1..300}".veth.eth0]\npeer = { name = "p{n}", master = "br0" }\n'
    )
    host.daemon()
    serve(host)
    with browser(host) as found:
        page = found.new_page()
        page.set_default_timeout(30_000)
        page.goto("http://127.0.0.1:8080/")
        host.until(lambda: page.evaluate("netd.picture.cy.nodes().length") > 300, "all namespaces are there")
        assert page.evaluate("netd.picture.open.size") == 0
        page.evaluate("netd.picture.find('n7:eth0')")
        assert page.evaluate("netd.picture.cy.getElementById('n7:eth0').length") == 1
