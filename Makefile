# `make help` lists the targets: a line that begins with "## " says what the target below it does.
# Most need root; each installs first what it needs.
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
PYTHON ?= python3
# Tests wait more than they work: three for two cores.
WORKERS := $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))
# Options for pytest, as in: make test T="-k vxlan"
T ?= -n $(WORKERS)
RIG_T ?= -n 2
# How many namespaces `make bench` builds, one table for each number.
N ?= 10 50 200 1000
RUNS ?= 3

VENV := .venv
BIN := $(VENV)/bin
# No word is broken, so that commands can be copied.
MAN := lowdown -s -tman --out-no-smarty | sed '/^\.TH/a .nr HY 0\n.nh\n.ad l'
# Not a Python of a home directory: the unit does not see it.
INSTALL_PYTHON ?= /usr/bin/python3
PRIVATE := $(PREFIX)/lib/netd
NEW := $(DESTDIR)$(PRIVATE).new
UNITS := $(PREFIX)/lib/systemd/system
DOC := $(PREFIX)/share/doc/netd
# Where zsh looks for completions of Debian's packages, and of what an administrator installs.
ZSH := $(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
DIST ?= dist
# As it is where it is installed, also for a Python that is set to write none.
COMPILE = $(BIN)/python -m compileall -q netd
# With the page: make install WEB=1.
WEB ?=
COMMA := ,
EXTRAS := install$(if $(WEB),$(COMMA)web)
SERVICES := netd.service netd-wait.service netd-wait@.service $(if $(WEB),netd-web.service)
# They keep udev, systemd-networkd and NetworkManager off netd's links.
NETWORK := 00-netd.link 00-netd.network
UDEV := 70-netd.rules 90-netd.rules
CODE := netd tests demo bench package

# Debian's names of what netd needs to run, and of what the tests need besides.
RUN_PACKAGES := python3 python3-venv iproute2 nftables libnftables1 iptables
INSTALL_PACKAGES := $(RUN_PACKAGES) lowdown
DEMO_PACKAGES := $(RUN_PACKAGES) iputils-ping procps util-linux
TEST_PACKAGES := $(DEMO_PACKAGES) socat strace tcpdump tshark conntrack zsh wireguard-tools
# The kernel of test-kinds and its modules; a compiler where the processor has more than that kernel knows (xstate.c).
UML_PACKAGES := $(TEST_PACKAGES) user-mode-linux kmod $(if $(shell grep -om1 amx_tile /proc/cpuinfo),gcc libc6-dev)
# What emulates a machine with Debian's kernel.
VM_PACKAGES := $(TEST_PACKAGES) qemu-system-x86 busybox-static kmod
# The rig's root is made by mmdebstrap, and lintian reads the package.
RIG_PACKAGES := $(TEST_PACKAGES) $(INSTALL_PACKAGES) mmdebstrap lintian

# The page's libraries come from npm.
WEB_LIBRARIES := cytoscape@3 cytoscape-fcose@2 cose-base@2 layout-base@2
VENDOR := netd/web/static/vendor

# $(call packages,NAMES): installs those that are missing; silent when there is nothing to do.
define packages
	@missing=; for p in $(1); do \
	    dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	    command -v apt-get >/dev/null || { echo "make: install these yourself, there is no apt-get:$$missing" >&2; exit 1; }; \
	    [ "$$(id -u)" = 0 ] || { echo "make: run this as root: it installs$$missing" >&2; exit 1; }; \
	    echo "==> installing packages:$$missing"; \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	        apt-get -qq install -y --no-install-recommends $$missing >/dev/null; fi
endef

# $(call venv,EXTRA): the project and what it imports, in its own directory.
define venv
	@echo "==> Python packages into $(VENV)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: netd needs Python 3.11" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --use-pep517 --editable '.$(1)'
	@touch $@
endef

.DEFAULT_GOAL := help
.PHONY: help format docs
.PHONY: demo test test-all test-kinds test-vm test-unit test-attack test-rig test-releases test-neighbours test-hardened chaos large kills
.PHONY: stories fuzz lint types bench bench-heal bench-busy bench-scale \
    bench-idle install uninstall deb clean root demo-packages test-packages rig-packages install-packages deb-packages \
    uml-packages vm-packages npm-packages web-packages web-assets test-web

## this list
help:
	@echo "make TARGET [VARIABLE=VALUE]:"
	@awk '/^## / { text = substr($$0, 4); next } text && /^[a-z-]+:/ { sub(/:.*/, ""); printf "  %-16s %s\n", $$0, text } \
	    { text = "" }' $(firstword $(MAKEFILE_LIST))

# Options for the demo: make demo D="-v --step".
D ?=
## show it work: a lab is built, broken and repaired before your eyes
demo: root demo-packages $(VENV)/run.stamp
	@$(BIN)/python -m demo $(D)

# systemd as the first process, in namespaces, on a fresh root that is kept in $(VENV)/.rig.
## tests that need a whole machine with systemd
test-rig: root rig-packages $(VENV)/test.stamp $(VENV)/.rig/root
	@rm -rf $(VENV)/.rig/package && $(MAKE) --no-print-directory deb DIST=$(VENV)/.rig/package
	@echo "==> tests on machines with systemd"
	$(BIN)/python -m pytest $(RIG_T) tests/rig

# On fresh roots, kept in $(VENV)/.rig; what is installed in them meanwhile is not. What a reader of README.md types there.
RELEASES ?= bookworm trixie
ON ?= demo test
## the demo and the tests on fresh roots of Debian 12 and 13 (RELEASES="bookworm trixie", ON="demo test")
test-releases: root rig-packages $(RELEASES:%=test-on-%)

test-on-%: $(VENV)/.rig/on-% | root
	@for target in $(ON); do \
	    echo "==> on $*, from nothing: make $$target"; before=$$(date +%s); \
	    tests/rig/release.sh $(VENV)/.rig/on-$* sh -c "apt-get -qq update && apt-get -qq install -y make >/dev/null && \
	        make $$target T='$(T)'" || exit 1; \
	    echo "==> on $*: make $$target took $$(($$(date +%s) - before)) seconds, with the installation"; done

# This machine's own release is that of the other tests.
.PRECIOUS: $(VENV)/.rig/on-%
$(VENV)/.rig/on-%: tests/rig/mkroot.sh | $(VENV)/.rig/root
	@. /etc/os-release; if [ "$$VERSION_CODENAME" = $* ]; then ln -sfn root $@; else \
	    echo "==> a fresh root of $* into $@"; tests/rig/mkroot.sh $@ $* && touch $@; fi

# About ten minutes.
## the scenarios once more, each daemon in the sandbox of netd.service
test-hardened: root rig-packages $(VENV)/test.stamp $(VENV)/.rig/root
	@rm -rf $(VENV)/.rig/package && $(MAKE) --no-print-directory deb DIST=$(VENV)/.rig/package
	$(BIN)/python -m pytest $(RIG_T) -p tests.rig.units tests/scenarios

# netd beside Docker, Podman, firewalld, NetworkManager, networkd and FRR, on machines that have them all (0.6 GB).
NEIGHBOURS := docker.io podman netavark aardvark-dns busybox-static firewalld network-manager frr
## tests beside Docker, Podman, firewalld, NetworkManager, networkd and FRR
test-neighbours: root rig-packages $(VENV)/test.stamp $(VENV)/.rig/neighbours
	@rm -rf $(VENV)/.rig/package && $(MAKE) --no-print-directory deb DIST=$(VENV)/.rig/package
	@echo "==> tests beside other tools"
	$(BIN)/python -m pytest $(RIG_T) tests/neighbours

$(VENV)/.rig/neighbours: tests/rig/mklayer.sh $(VENV)/.rig/root
	@echo "==> packages into $@"
	@tests/rig/mklayer.sh $(VENV)/.rig/root $@ $(NEIGHBOURS) && touch $@

$(VENV)/.rig/root: tests/rig/mkroot.sh | rig-packages
	@echo "==> a fresh root into $@"
	@tests/rig/mkroot.sh $@ && touch $@

## the first tier: every part, lint and types included, 6 minutes (T="-k NAME": options for pytest)
test: root test-packages $(VENV)/test.stamp
	@echo "==> tests, lint, types and import contracts"
	@$(COMPILE)
	$(BIN)/python -m pytest --tier first $(T)

## all other tests: the second tier, and those that need a browser or a machine with systemd (25 minutes)
test-all: root test-packages $(VENV)/test.stamp
	@echo "==> the second tier of the tests"
	@$(COMPILE)
	$(BIN)/python -m pytest --tier second $(T)
	@$(MAKE) --no-print-directory test-web test-rig

# Options for pytest, as in: make test-kinds K="-k bond".
K ?=
## tests of kinds of links that the kernel of this machine may lack, under User-Mode Linux (K="-k NAME")
test-kinds: root uml-packages $(VENV)/test.stamp
	@echo "==> tests under the User-Mode Linux kernel"
	@$(COMPILE)
	$(BIN)/python -m tests.uml.tests $(K)

## the libraries of the page, with their licenses, from npm into netd/web/static/vendor
web-assets: $(VENDOR)/cytoscape.min.js
$(VENDOR)/cytoscape.min.js:
	@echo "==> the page's libraries into $(VENDOR)"
	@package/web_assets.sh $(VENDOR) $(WEB_LIBRARIES)

## the page in a real browser
test-web: root test-packages web-packages $(VENV)/test.stamp web-assets
	$(BIN)/python -m pytest tests/web

# Emulated, so some ten times slower; the kernel is kept in $(VENV)/.rig.
VM_T ?= -k wireguard tests/contract/test_every_link_kind.py tests/scenarios/test_examples.py tests/scenarios/test_wireguard.py
## tests of WireGuard, on a machine under QEMU with Debian's kernel (15 minutes; VM_T="...": other tests)
test-vm: root vm-packages $(VENV)/test.stamp
	@echo "==> tests under Debian's kernel"
	$(BIN)/python -m tests.vm $(VENV)/.rig/kernel $(BIN)/python -m pytest -p no:cacheprovider $(VM_T)

## tests that need neither root nor packages of the system (30 seconds)
test-unit: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto tests/unit

## attacks by a local user, a container, a peer of a socket, a broken journal
test-attack: root test-packages $(VENV)/test.stamp
	$(BIN)/python -m pytest $(T) tests/attack

# How long `make chaos` rages, in seconds, and from which seed (an earlier one: the same choices again).
SECONDS ?= 600
SEED ?=
## break a running daemon's network at random (SECONDS=600, SEED=)
chaos: root test-packages $(VENV)/test.stamp
	$(BIN)/python -m tests.chaos $(SECONDS) $(SEED)

# Everything broken at once in 1,000 namespaces; looking at them all takes minutes.
## break everything at once in 1,000 namespaces
large: root test-packages $(VENV)/test.stamp
	NETD_COUNT=1000 NETD_DEADLINE=900 $(BIN)/python -m pytest tests/scenarios/test_all_at_once.py

# SIGKILL after every single step, not only each eighth.
## SIGKILL after every single step of a plan
kills: root test-packages $(VENV)/test.stamp
	NETD_KILL_STRIDE=1 $(BIN)/python -m pytest -n auto tests/contract/test_kill_points.py

# So many stories of edits, drift, lost events, refusals and kills on the fake kernel, and every failure of every operation.
STORIES ?= 2000
## histories of edits, drift and failures on the fake kernel (STORIES=2000)
stories: root test-packages $(VENV)/test.stamp
	NETD_EXAMPLES=$(STORIES) NETD_FAILURE_STRIDE=1 $(BIN)/python -m pytest -n auto \
	    tests/property/test_convergence.py tests/property/test_every_failure.py

# The readers of files and of the kernel's messages: so many times as often as in the tests.
FUZZ ?= 20
## malformed files and kernel messages (FUZZ=20)
fuzz: root test-packages $(VENV)/test.stamp
	NETD_FUZZ=$(FUZZ) $(BIN)/python -m pytest -n auto tests/property/test_config_any.py tests/contract/test_kernel_fuzz.py \
	    tests/contract/test_nft_fuzz.py

## format the code, and repair what ruff can repair
format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix --exit-zero $(CODE)
	$(BIN)/ruff format $(CODE)

## write the tables of docs/reference/config.md from the models
docs: $(VENV)/test.stamp
	@$(BIN)/python package/tables.py docs/reference/config.md

## ruff and the import contracts
lint: $(VENV)/test.stamp
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports

## mypy --strict
types: $(VENV)/test.stamp
	$(BIN)/mypy $(CODE)

## how long building, changing and removing a lab takes (N="10 50 200 1000", RUNS=3)
bench: root demo-packages $(VENV)/run.stamp
	@$(COMPILE)
	@BENCH_RUNS=$(RUNS) $(BIN)/python -m bench $(N)

## how long repairs take, among 10, 100 and 1,000 namespaces
bench-heal: root demo-packages $(VENV)/run.stamp
	@$(COMPILE)
	@$(BIN)/python -m bench.heal

# Half an hour; SCALE=0.1 takes a tenth of everything.
SCALE ?= 1
## large labs: READY, restart, memory, one repair; and removals (SCALE=1)
bench-scale: root demo-packages $(VENV)/run.stamp
	@$(COMPILE)
	@$(BIN)/python -m bench.scale $(SCALE)

# BENCH_NAMESPACES=1000 BENCH_BRIDGES=100 BENCH_ROUTES=20000 BENCH_RULES=2000: how much goes on beside it.
## how long repairs take beside a build, a removal, and storms of routes, of nftables and of questions
bench-busy: root demo-packages $(VENV)/run.stamp
	@$(COMPILE)
	@$(BIN)/python -m bench.busy

# Takes two minutes.
## what a daemon with 1,000 namespaces costs that has nothing to do
bench-idle: root demo-packages $(VENV)/run.stamp
	@$(COMPILE)
	@$(BIN)/python -m bench.idle

root:
	@[ "$$(id -u)" = 0 ] || { echo "make: this makes network namespaces: run it as root" >&2; exit 1; }

install-packages:
	$(call packages,$(INSTALL_PACKAGES))
deb-packages:
	$(call packages,$(INSTALL_PACKAGES) binutils xz-utils)
rig-packages:
	$(call packages,$(RIG_PACKAGES))
demo-packages:
	$(call packages,$(DEMO_PACKAGES))
test-packages:
	$(call packages,$(TEST_PACKAGES))
npm-packages:
	$(call packages,$(if $(shell command -v npm),,npm))
web-packages: npm-packages
	$(call packages,chromium curl)
uml-packages:
	$(call packages,$(UML_PACKAGES))
vm-packages:
	$(call packages,$(VM_PACKAGES))

# Recreated only when the project's needs change. A target that needs packages of the system names them before it.
$(VENV)/run.stamp: pyproject.toml
	$(call venv,)
$(VENV)/test.stamp: pyproject.toml
	$(call venv,[test])

# Built beside, and put in place by a rename: a daemon that runs meanwhile loses nothing of what it may import yet.
# The directory of the files is created only the first time: if it is missing, an empty one would remove everything.
## install below PREFIX (/usr/local) and DESTDIR
install: install-packages $(if $(WEB),npm-packages web-assets)
	@$(INSTALL_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: netd needs Python 3.11: say where with INSTALL_PYTHON=" >&2; exit 1; }
	@echo "==> netd into $(DESTDIR)$(PRIVATE)"
	@rm -rf build *.egg-info $(NEW) && mkdir -p build $(dir $(NEW))
	@$(INSTALL_PYTHON) -m venv $(NEW)
	@$(NEW)/bin/python -m pip install --quiet --use-pep517 '.[$(EXTRAS)]'
	@$(NEW)/bin/python package/manual.py netd.8 | $(MAN) >build/netd.8
	@$(NEW)/bin/python package/manual.py netd.toml.5 | $(MAN) >build/netd.toml.5
	@for s in bash zsh; do $(NEW)/bin/python package/completion.py $$s >build/netd.$$s; done
	@$(NEW)/bin/python -m pip uninstall --quiet --yes shtab setuptools pip 2>/dev/null
	@find $(NEW)/bin -type f ! -name netd -delete && sed -i '/^command/d' $(NEW)/pyvenv.cfg
	@# Ctrl-C waits until Python has started, and is answered then with one line (netd/cli/interrupt.py).
	@sed -i '1s|.*|#!/usr/bin/env -S --block-signal=INT $(PRIVATE)/bin/python -I|' $(NEW)/bin/netd
	@rm -rf $(DESTDIR)$(PRIVATE).old
	@[ -e $(DESTDIR)$(PRIVATE) ] || install -d $(DESTDIR)$(SYSCONFDIR)/netd
	@[ ! -e $(DESTDIR)$(PRIVATE) ] || mv $(DESTDIR)$(PRIVATE) $(DESTDIR)$(PRIVATE).old
	@mv $(NEW) $(DESTDIR)$(PRIVATE) && rm -rf $(DESTDIR)$(PRIVATE).old
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(DOC)/examples
	@ln -sf ../lib/netd/bin/netd $(DESTDIR)$(PREFIX)/bin/netd
	@for u in $(SERVICES); do install -D -m 644 units/$$u $(DESTDIR)$(UNITS)/$$u && \
	    sed -i 's|/usr/local|$(PREFIX)|g' $(DESTDIR)$(UNITS)/$$u; done
	@install -D -m 644 units/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/netd.conf
	@install -D -m 644 units/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/netd.conf
	@install -D -m 644 units/netd.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/netd.catalog
	@for d in rt_protos.d group.d; do \
	    install -D -m 644 units/iproute2/$$d/netd.conf $(DESTDIR)$(SYSCONFDIR)/iproute2/$$d/netd.conf; done
	@for f in $(NETWORK); do install -D -m 644 units/network/$$f $(DESTDIR)$(PREFIX)/lib/systemd/network/$$f; done
	@for f in $(UDEV); do install -D -m 644 units/udev/$$f $(DESTDIR)$(PREFIX)/lib/udev/rules.d/$$f; done
	@install -D -m 644 build/netd.8 $(DESTDIR)$(PREFIX)/share/man/man8/netd.8
	@install -D -m 644 build/netd.toml.5 $(DESTDIR)$(PREFIX)/share/man/man5/netd.toml.5
	@install -D -m 644 build/netd.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/netd
	@install -D -m 644 build/netd.zsh $(DESTDIR)$(PREFIX)/share/zsh/$(ZSH)/_netd
	@install -m 644 README.md CHANGELOG.md LICENSE $(DESTDIR)$(DOC)
	@for f in $$(find docs -name '*.md'); do install -D -m 644 $$f $(DESTDIR)$(DOC)/$$f; done
	@# There is no copy of the repository where these are read.
	@find $(DESTDIR)$(DOC) -name '*.md' -exec sed -i 's|\(\.\./\)*etc/netd/examples|$(DOC)/examples|g' {} +
	@install -m 644 etc/netd/examples/*.toml etc/netd/examples/*.service etc/netd/examples/*.conf $(DESTDIR)$(DOC)/examples
	@rm -rf build *.egg-info
	@if [ -z "$(DESTDIR)" ]; then \
	    ! command -v systemd-sysusers >/dev/null || systemd-sysusers netd.conf; \
	    if [ -d /run/systemd/system ]; then \
	        systemd-tmpfiles --create netd.conf; journalctl --update-catalog; \
	        ! command -v udevadm >/dev/null || { udevadm control --reload && \
	            udevadm trigger --subsystem-match=net --attr-match=netdev_group=28260; }; \
	        ! systemctl --quiet is-active systemd-networkd || networkctl reload; \
	        systemctl daemon-reload; systemctl try-restart netd; fi; fi
	@echo "==> installed. Examples: $(DOC)/examples. Start it: systemctl enable --now netd"

# Whether Debian's package is there too: installed, config-files (removed and not purged), or nothing. What both have, that
# netd is enabled and the names for ip(8), stays with it, and its daemon takes over.
PACKAGE = $(if $(DESTDIR),,$(filter-out not-installed,$(shell dpkg-query -W -f='$${db:Status-Status}' netd 2>/dev/null)))

# The network that netd built stays, as it does on every stop; `netd down` first takes it away.
## remove what install installed; the network stays
uninstall:
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
	    case "$(PACKAGE)" in \
	    '') systemctl disable --now $(SERVICES) 2>/dev/null || : ;; \
	    config-files) systemctl stop netd.service netd-wait.service || : ;; \
	    esac; fi
	@rm -rf $(DESTDIR)$(PRIVATE) $(DESTDIR)$(DOC)
	@rm -f $(DESTDIR)$(PREFIX)/bin/netd $(addprefix $(DESTDIR)$(UNITS)/,$(SERVICES))
	@rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/netd.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/netd.conf \
	    $(DESTDIR)$(PREFIX)/lib/systemd/catalog/netd.catalog
	@rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/network/,$(NETWORK)) \
	    $(addprefix $(DESTDIR)$(PREFIX)/lib/udev/rules.d/,$(UDEV))
	@rm -f $(DESTDIR)$(PREFIX)/share/man/man8/netd.8 $(DESTDIR)$(PREFIX)/share/man/man5/netd.toml.5
	@rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/netd $(DESTDIR)$(PREFIX)/share/zsh/$(ZSH)/_netd
	@[ -n "$(PACKAGE)" ] || rm -f $(addprefix $(DESTDIR)$(SYSCONFDIR)/iproute2/,rt_protos.d/netd.conf group.d/netd.conf)
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
	    systemctl daemon-reload; journalctl --update-catalog; \
	    [ -z "$(PACKAGE)" ] || systemctl try-restart netd.service 2>/dev/null || :; fi
	@echo "==> removed; $(SYSCONFDIR)/netd and what netd built stay"

# For the release of Debian or Ubuntu that it is made on.
## a Debian package: dist/netd_VERSION_ARCHITECTURE.deb
deb: deb-packages
	@t=$$(mktemp -d) && trap 'rm -rf "$$t"' EXIT && chmod 755 "$$t" && \
	    $(MAKE) --no-print-directory install PREFIX=/usr DESTDIR="$$t" >/dev/null && \
	    echo "==> $$(package/deb.sh "$$t" $(DIST))"

## remove what make made here
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
