# One Makefile for everything. `make help` lists the targets; `make V=1` shows the commands;
# `make DEVELOPER=1` turns warnings into errors. All output goes below $(BUILD).

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
OPTIMISE ?= -O2 -g
SANITIZE ?=
VERSION := 0.1.0

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

# --- libraries, by room -------------------------------------------------------------------------
PKG_base := glib-2.0 gio-2.0 gio-unix-2.0 json-glib-1.0
PKG_replicator := libnbd liburing libxxhash
PKG_snapshot := libvirt libvirt-qemu libxml-2.0
PKG_ALL := $(PKG_base) $(PKG_replicator) $(PKG_snapshot)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
            -Wundef -Wwrite-strings -Wno-missing-field-initializers $(if $(DEVELOPER),-Werror)
CPPFLAGS += -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DLANDFALL_VERSION='"$(VERSION)"' \
            -DGLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74 -I. $(shell pkg-config --cflags $(PKG_ALL))
CFLAGS += -std=gnu11 $(OPTIMISE) $(WARNINGS) $(SANITIZE) -fstack-protector-strong -MMD -MP
LDFLAGS += $(SANITIZE) -Wl,-z,relro,-z,now -Wl,--as-needed

LIBS_landfall-replicate := $(shell pkg-config --libs $(PKG_base) $(PKG_replicator))
LIBS_landfall := $(shell pkg-config --libs $(PKG_ALL))

# --- what is built from what --------------------------------------------------------------------
PROGRAMS := landfall landfall-replicate
MAIN_landfall := appliance/landfall.c
MAIN_landfall-replicate := replicator/landfall-replicate.c

room_objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAIN_landfall) $(MAIN_landfall-replicate),\
                 $(sort $(wildcard $(1)/*.c) $(wildcard $(1)/*/*.c))))
OBJECTS_replicate := $(call room_objects,base) $(call room_objects,replicator)
OBJECTS_landfall := $(OBJECTS_replicate) $(call room_objects,snapshot) $(call room_objects,appliance)

UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test-*.c)))
MAN_PAGES := $(patsubst doc/%.scd,$(BUILD)/doc/%,$(sort $(wildcard doc/*.scd)))

.PHONY: all deps test check-long check-san check-valgrind fuzz lint format bench demo install clean help
all: $(addprefix $(BUILD)/,$(PROGRAMS)) $(MAN_PAGES)

help:
	@echo 'deps all test check-long check-san check-valgrind fuzz lint format bench demo install clean'

$(BUILD)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/landfall: $(BUILD)/appliance/landfall.o $(OBJECTS_landfall)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_landfall)

$(BUILD)/landfall-replicate: $(BUILD)/replicator/landfall-replicate.o $(OBJECTS_replicate)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_landfall-replicate)

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(OBJECTS_landfall)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_landfall)

$(BUILD)/doc/%: doc/%.scd
	$(Q)mkdir -p $(@D)
	$(call say,MAN,$<)scdoc < $< > $@

clean:
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
