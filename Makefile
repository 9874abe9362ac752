# SPDX-License-Identifier: Apache-2.0
# One Makefile for everything. `make help` lists the targets; `make V=1` shows the commands;
# `make DEVELOPER=1` turns warnings into errors. All output goes below $(BUILD).

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
OPTIMISE ?= -O2 -g
SANITIZE ?=
FUZZ_SECONDS ?= 60
FUZZ_MAIN ?= $(BUILD)/tests/fuzz/replay.o
# `make test T=replicator` runs the tests whose path contains the word.
T ?=
# Tests wait for guests, deadlines and disks as long as they compute.
TEST_JOBS ?= $(shell expr 2 '*' $$(nproc))
VERSION := 0.1.0

MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
.DELETE_ON_ERROR:
.SECONDARY:

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

# --- Debian packages, by what needs them --------------------------------------------------------
DEBIAN_build := build-essential pkg-config libglib2.0-dev libjson-glib-dev libnbd-dev liburing-dev \
                libxxhash-dev libssl-dev libvirt-dev libxml2-dev libsqlite3-dev \
                libmicrohttpd-dev libcurl4-openssl-dev libpng-dev libsystemd-dev scdoc bash-completion
DEBIAN_test := perl jq strace rsync util-linux procps iproute2 openssh-client dropbear-bin \
               netcat-openbsd gnutls-bin e2fsprogs xfsprogs sqlite3 systemd libnbd-bin nbdkit \
               qemu-utils qemu-system-x86 ovmf libvirt-clients libvirt-daemon libvirt-daemon-system \
               libvirt-daemon-driver-qemu busybox-static cpio kmod linux-image-cloud-amd64 \
               qemu-guest-agent lz4 grub-common grub-pc-bin fdisk \
               libxml2-utils ovmf swtpm swtpm-tools diffutils \
                curl openssl python3 python3-jsonschema python3-prometheus-client
DEBIAN_lint := clang-format clang-tidy cppcheck shellcheck valgrind clang libclang-rt-14-dev
DEBIAN_bench := virtnbdbackup gnuplot-nox
DEBIAN_PACKAGES := $(DEBIAN_build) $(DEBIAN_test) $(DEBIAN_lint) $(DEBIAN_bench)

# --- libraries, by room -------------------------------------------------------------------------
PKG_base := glib-2.0 gio-2.0 gio-unix-2.0 json-glib-1.0
PKG_replicator := libnbd liburing libxxhash
PKG_snapshot := libvirt libvirt-qemu libxml-2.0
PKG_daemon := sqlite3 libmicrohttpd libcurl libcrypto libsystemd
PKG_client := libcurl libcrypto libpng
PKG_ALL := $(sort $(PKG_base) $(PKG_replicator) $(PKG_snapshot) $(PKG_daemon) $(PKG_client))

# `make deps` must work before pkg-config and the libraries are there.
ifneq ($(filter-out deps demo clean format help,$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKG_ALL) || echo -no-libraries-run-make-deps)
LIBS_landfall-replicate := $(shell pkg-config --libs $(PKG_base) $(PKG_replicator))
LIBS_landfall := $(shell pkg-config --libs $(PKG_base) $(PKG_replicator) $(PKG_snapshot) $(PKG_client))
LIBS_all := $(shell pkg-config --libs $(PKG_ALL))
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
            -Wundef -Wwrite-strings -Wno-missing-field-initializers \
            -Werror=incompatible-pointer-types -Werror=int-conversion $(if $(DEVELOPER),-Werror)
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DLANDFALL_VERSION='"$(VERSION)"' \
            -DGLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74 -DG_LOG_USE_STRUCTURED \
            -DG_LOG_DOMAIN='"landfall"' -I. $(PKG_CFLAGS)
CFLAGS += -std=gnu11 $(OPTIMISE) $(WARNINGS) $(SANITIZE) -fstack-protector-strong -MMD -MP
LDFLAGS += $(SANITIZE) -Wl,-z,relro,-z,now -Wl,--as-needed

# --- what is built from what --------------------------------------------------------------------
PROGRAMS := landfall landfalld landfall-replicate
MAIN_landfall := appliance/landfall.c
MAIN_landfalld := appliance/daemon/landfalld.c
MAIN_landfall-replicate := replicator/landfall-replicate.c

# The objects of a folder and those one below it; files that a program carries along are listed in
# NAME.gresource.xml and become C first.
room_objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(foreach program,$(PROGRAMS),$(MAIN_$(program))),\
                 $(sort $(wildcard $(1)/*.c $(1)/*/*.c)))) \
               $(patsubst %.gresource.xml,$(BUILD)/%-resource.o,\
                 $(sort $(wildcard $(1)/*.gresource.xml $(1)/*/*.gresource.xml)))
OBJECTS_replicate := $(call room_objects,base) $(call room_objects,replicator) \
                     $(if $(findstring thread,$(SANITIZE)),$(BUILD)/tests/tsan-glib.o)
OBJECTS_cycle := $(OBJECTS_replicate) $(call room_objects,snapshot) $(call room_objects,appliance/cycle)
OBJECTS_landfall := $(OBJECTS_cycle) $(foreach folder,certificates steps cli,\
                      $(call room_objects,appliance/$(folder)))
OBJECTS_landfalld := $(OBJECTS_cycle) $(foreach folder,certificates state events inventory jobs failover \
                       api daemon,$(call room_objects,appliance/$(folder)))
OBJECTS_all := $(sort $(OBJECTS_landfall) $(OBJECTS_landfalld))

UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test-*.c)))
FUZZ_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/fuzz/fuzz-*.c)))
CRASH_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/crash/test-*.c)))
SCRIPT_TESTS := $(sort $(wildcard tests/*/*.t))
# Programs that scripts run, such as a holder of a snapshot; tests/guest has rules of its own.
TEST_HELPERS := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/unit/% tests/fuzz/% tests/crash/% \
                  tests/guest/%,$(sort $(wildcard tests/*/*.c))))
MAN_PAGES := $(patsubst doc/%.scd,$(BUILD)/doc/%,$(sort $(wildcard doc/*.scd)))
SERVICES := $(wildcard appliance/*/*.service)
COMPLETIONS := $(wildcard doc/completion/* appliance/completion/*)

.PHONY: all deps test tests-built check-long check-san check-valgrind fuzz lint lint-deep format \
        bench demo install clean help
all: $(addprefix $(BUILD)/,$(PROGRAMS)) $(MAN_PAGES)

help:
	@echo 'make deps            install the Debian packages that all of the below needs'
	@echo 'make                 build the programs and man pages below $(BUILD)/'
	@echo 'make test [T=word]   lint, unit tests and system tests, one summary'
	@echo 'make lint            the rules of the house; lint-deep: analysers, minutes'
	@echo 'make check-long      the system tests with their long cases'
	@echo 'make check-san       the suite under ASan and UBSan, then TSan'
	@echo 'make check-valgrind  the unit tests under memcheck'
	@echo 'make fuzz            each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make bench           Landfall against its peers, side by side (QUICK=1: two minutes)'
	@echo 'make demo            from nothing to a replicated machine, and the proof (needs root)'
	@echo 'make format install clean'

$(BUILD)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/%.o: $(BUILD)/%.c
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/%-resource.c: %.gresource.xml
	$(Q)mkdir -p $(@D)
	$(call say,EMBED,$<)glib-compile-resources --generate-source --internal --sourcedir=$(<D) \
	    --dependency-file=$@.d --generate-phony-targets --target=$@ $<
	$(Q)sed -i 's|^$<:|$@:|' $@.d

$(BUILD)/landfall: $(BUILD)/appliance/landfall.o $(OBJECTS_landfall)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_landfall)

$(BUILD)/landfalld: $(BUILD)/appliance/daemon/landfalld.o $(OBJECTS_landfalld)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_all)

$(BUILD)/landfall-replicate: $(BUILD)/replicator/landfall-replicate.o $(OBJECTS_replicate)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_landfall-replicate)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(OBJECTS_all)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_all)

# A fuzz target is linked twice: here with a main that replays its corpus, by `make fuzz` with
# libFuzzer's.
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_MAIN) $(OBJECTS_all)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) $(FUZZ_LDFLAGS) -o $@ $^ $(LIBS_all)

$(BUILD)/bench/%.so: bench/%.c
	$(Q)mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $< -lxxhash

# The crash tests stand between the rooms and the kernel, and keep what they do on a disk's behalf.
CRASH_PARTS := disk-log disk-build file-layer source truth rig
CRASH_WRAPPED := open64 close pwrite64 ftruncate64 fallocate64 fsync fdatasync rename unlink mkdir \
                 rmdir io_uring_submit io_uring_submit_and_wait
$(CRASH_TESTS): $(BUILD)/%: $(BUILD)/%.o $(CRASH_PARTS:%=$(BUILD)/tests/crash/%.o) \
                            $(OBJECTS_replicate)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) $(CRASH_WRAPPED:%=-Wl,--wrap=%) -o $@ $^ \
	    $(LIBS_landfall-replicate)
$(BUILD)/tests/crash/test-replica-faults: CRASH_WRAPPED += replica_local_ops
$(BUILD)/tests/crash/test-replica-faults: $(BUILD)/tests/crash/fault-replica.o

$(BUILD)/bench/%: $(BUILD)/bench/%.o
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_landfall-replicate)

$(BUILD)/doc/%: doc/%.scd
	$(Q)mkdir -p $(@D)
	$(call say,MAN,$<)scdoc < $< > $@

-include tests/kit/kit.mk

# --- dependencies -------------------------------------------------------------------------------
deps:
	@missing=; for package in $(DEBIAN_PACKAGES); do \
	    [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || \
	    missing="$$missing $$package"; \
	done; \
	[ -n "$$missing" ] || { echo 'all Debian packages are installed'; exit 0; }; \
	as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	$$as_root apt-get update && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --no-install-recommends -y $$missing

# --- tests --------------------------------------------------------------------------------------
# One prove over everything, so that there is one summary. What takes longest comes first, so that
# nothing of it is left alone at the end; the unit tests fill the gaps.
LONGEST := failover/failback lint/lint failover/migrate failover/test-migrate faults/live-qemu-kill \
           failover/failover-kill failover/hand-over failover/operations faults/divergence \
           faults/live-kill kit/boot kit/guest appliance/cycle-options appliance/cycle-agent \
           faults/replicate-kill failover/target-steps appliance/hundred failover/target-remote \
           failover/nbd faults/source-reconnect faults/broken-source failover/serve
SUITE := $(patsubst %,tests/%.t,$(LONGEST)) \
         $(filter-out $(patsubst %,tests/%.t,$(LONGEST)),$(SCRIPT_TESTS)) \
         $(CRASH_TESTS) $(UNIT_TESTS) $(FUZZ_TESTS)
chosen = $(foreach test,$(1),$(if $(or $(if $(T),,all),$(findstring $(T),$(test))),$(test)))
TEST_ENVIRONMENT = LANDFALL_BUILD=$(abspath $(BUILD)) PATH=$(abspath $(BUILD)):$$PATH
prove = $(TEST_ENVIRONMENT) $(PROVE_WRAPPER) prove --timer -j$(TEST_JOBS) --exec tests/run-test \
        $(or $(strip $(1)),$(error no test has "$(T)" in its path))

# Scripts run the programs; a unit test alone does not wait for them.
tests-built: $(if $(filter %.t,$(call chosen,$(SUITE))),all $(TEST_HELPERS) $(BUILD)/bench/measure) \
             $(filter-out %.t,$(call chosen,$(SUITE)))

test: tests-built
	$(Q)$(call prove,$(call chosen,$(SUITE)))

check-long: tests-built
	$(Q)LANDFALL_LONG=1 $(call prove,$(call chosen,$(SCRIPT_TESTS) $(CRASH_TESTS)))

MEMCHECK := valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
            --suppressions=/usr/share/glib-2.0/valgrind/glib.supp
check-valgrind: tests-built
	$(Q)TEST_WRAPPER="$(MEMCHECK)" $(call prove,$(call chosen,$(UNIT_TESTS) $(FUZZ_TESTS)))

# Lint judges the sources, not the build: no need to run it in each build.
check-san:
	$(Q)$(MAKE) BUILD=$(BUILD)/asan check-sanitized OPTIMISE='-O1 -g -fno-omit-frame-pointer' \
	    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
	$(Q)$(MAKE) BUILD=$(BUILD)/tsan check-sanitized OPTIMISE='-O1 -g' SANITIZE='-fsanitize=thread'

# TSan wants its shadow memory where a randomised layout may already have put something else, and
# it cannot see the futexes inside an uninstrumented GLib: hence setarch and the suppressions.
#
# Tests expect failures and throw away what programs say: so a finding ends a program as a crash
# would, and is written where it is seen whatever becomes of the program.
REPORTS := $(abspath $(BUILD))/reports
FINDINGS := exitcode=199:log_path=$(REPORTS)/report
.PHONY: check-sanitized
check-sanitized: PROVE_WRAPPER := setarch -R
check-sanitized: tests-built
	$(Q)rm -rf $(REPORTS); mkdir -p $(REPORTS); chmod 1777 $(REPORTS); \
	    export ASAN_OPTIONS='$(FINDINGS)' LSAN_OPTIONS='exitcode=199' \
	    UBSAN_OPTIONS='$(FINDINGS):print_stacktrace=1' \
	    TSAN_OPTIONS='$(FINDINGS):suppressions=$(CURDIR)/tests/tsan.supp' LANDFALL_SANITIZED=1; \
	    status=0; $(call prove,$(call chosen,$(filter-out tests/lint/%,$(SUITE)))) || status=1; \
	    for report in $(REPORTS)/*; do [ ! -e "$$report" ] || { head -n 60 "$$report"; status=1; }; done; \
	    exit $$status

fuzz:
	$(Q)$(MAKE) BUILD=$(BUILD)/fuzz CC=clang OPTIMISE='-O1 -g' WARNINGS= \
	    SANITIZE='-fsanitize=address,undefined,fuzzer-no-link' FUZZ_MAIN= \
	    FUZZ_LDFLAGS=-fsanitize=fuzzer fuzz-run

.PHONY: fuzz-run
fuzz-run: $(FUZZ_TESTS)
	$(Q)tests/run-fuzz $(FUZZ_SECONDS) $(call chosen,$(FUZZ_TESTS))

lint: all
	$(Q)$(TEST_ENVIRONMENT) prove --timer --exec tests/run-test tests/lint/lint.t

lint-deep: all
	$(Q)$(TEST_ENVIRONMENT) tests/lint/deep.sh $(CPPFLAGS)

format:
	$(Q)git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

# --- beyond tests -------------------------------------------------------------------------------
# CASES names some of the cases: make bench CASES="full_copy live".
CASES ?=
bench: all kit $(addprefix $(BUILD)/bench/,gendisk measure no-hash.so no-sync.so)
	$(Q)$(TEST_ENVIRONMENT) bench/run.sh $(if $(QUICK),quick,full) $(CASES)

demo: deps
	$(Q)$(MAKE) all kit
	$(Q)$(TEST_ENVIRONMENT) demo/demo.sh

install: all
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(addprefix $(BUILD)/,$(PROGRAMS))
	$(foreach page,$(MAN_PAGES),install -D -m 644 -t \
	    $(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(page))) $(page) &&) true
	$(foreach file,$(COMPLETIONS),install -D -m 644 -t \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(file) &&) true
	$(foreach file,$(SERVICES),install -D -m 644 -t \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system $(file) &&) true

clean:
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
