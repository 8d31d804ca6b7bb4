# make demo | test | lint | types | bench | bench-heal | install | uninstall | clean.  As root; each installs first what it needs.
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
PYTHON ?= python3
# Options for pytest, as in: make test T="-k vxlan"
T ?= -n auto
# How many namespaces `make bench` builds.
N ?= 200

VENV := .venv
BIN := $(VENV)/bin
PRIVATE := $(PREFIX)/lib/netd
UNITS := $(PREFIX)/lib/systemd/system
DOC := $(PREFIX)/share/doc/netd
CODE := netd tests demo bench

# Debian's names of what netd needs to run, and of what the tests need besides.
RUN_PACKAGES := python3 python3-venv iproute2 nftables libnftables1 iptables
DEMO_PACKAGES := $(RUN_PACKAGES) iputils-ping procps util-linux
TEST_PACKAGES := $(DEMO_PACKAGES) socat strace tcpdump conntrack

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

# $(call venv,EXTRA): the project and what it imports, in a folder of its own.
define venv
	@echo "==> Python packages into $(VENV)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: netd needs Python 3.11" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --use-pep517 --editable '.$(1)'
	@touch $@
endef

.PHONY: demo test lint types bench bench-heal install uninstall clean demo-packages test-packages run-packages root

demo: root demo-packages $(VENV)/run.stamp
	@$(BIN)/python -m demo

test: root test-packages $(VENV)/test.stamp
	@echo "==> tests, lint, types and import contracts"
	$(BIN)/python -m pytest $(T)

lint: $(VENV)/test.stamp
	$(BIN)/ruff check $(CODE)
	$(BIN)/lint-imports

types: $(VENV)/test.stamp
	$(BIN)/mypy netd

bench: root demo-packages $(VENV)/run.stamp
	@$(BIN)/python -m bench.build $(N)

# How long repairs take, among 10, 100 and 1,000 namespaces.
bench-heal: root demo-packages $(VENV)/run.stamp
	@$(BIN)/python -m bench.heal

root:
	@[ "$$(id -u)" = 0 ] || { echo "make: this makes network namespaces: run it as root" >&2; exit 1; }

run-packages:
	$(call packages,$(RUN_PACKAGES))
demo-packages:
	$(call packages,$(DEMO_PACKAGES))
test-packages:
	$(call packages,$(TEST_PACKAGES))

# Order-only: the packages are looked at each time, the folder is made again only when the project's needs change.
$(VENV)/run.stamp: pyproject.toml | demo-packages
	$(call venv,)
$(VENV)/test.stamp: pyproject.toml | test-packages
	$(call venv,[test])

install: run-packages
	@echo "==> netd into $(DESTDIR)$(PRIVATE)"
	@rm -rf build netd.egg-info
	@$(PYTHON) -m venv $(DESTDIR)$(PRIVATE)
	@$(DESTDIR)$(PRIVATE)/bin/python -m pip install --quiet --use-pep517 .
	@rm -rf build netd.egg-info
	@sed -i '1s|.*|#!$(PRIVATE)/bin/python -I|' $(DESTDIR)$(PRIVATE)/bin/netd
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNITS) $(DESTDIR)$(DOC)/docs $(DESTDIR)$(DOC)/examples \
	    $(DESTDIR)$(SYSCONFDIR)/netd
	@ln -sf $(PRIVATE)/bin/netd $(DESTDIR)$(PREFIX)/bin/netd
	@sed 's|/usr/local|$(PREFIX)|' units/netd.service >$(DESTDIR)$(UNITS)/netd.service
	@chmod 644 $(DESTDIR)$(UNITS)/netd.service
	@for d in rt_protos.d group.d; do \
	    install -D -m 644 units/iproute2/$$d/netd.conf $(DESTDIR)$(SYSCONFDIR)/iproute2/$$d/netd.conf; done
	@install -m 644 README.md $(DESTDIR)$(DOC)
	@install -m 644 docs/*.md $(DESTDIR)$(DOC)/docs
	@install -m 644 etc/netd/examples/*.toml $(DESTDIR)$(DOC)/examples
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "==> installed. Examples: $(DOC)/examples. Start it: systemctl enable --now netd"

# The network that netd built stays, as it does on every stop; `netd down` first takes it away.
uninstall:
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl disable --now netd 2>/dev/null || :; fi
	@rm -rf $(DESTDIR)$(PRIVATE) $(DESTDIR)$(DOC)
	@rm -f $(DESTDIR)$(PREFIX)/bin/netd $(DESTDIR)$(UNITS)/netd.service
	@rm -f $(DESTDIR)$(SYSCONFDIR)/iproute2/rt_protos.d/netd.conf $(DESTDIR)$(SYSCONFDIR)/iproute2/group.d/netd.conf
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	@echo "==> removed; $(SYSCONFDIR)/netd and what netd built stay"

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
