# SPDX-License-Identifier: Apache-2.0
#
# What the live tests, the demo and the bench need built: the guest that writes, the program that
# checks what it wrote. Included by the Makefile at the top; `make kit` builds it all.

KIT_OUT := $(BUILD)/tests/guest
KIT_KERNEL := $(lastword $(sort $(wildcard /boot/vmlinuz-*-cloud-amd64)))
# Never with a sanitizer: the writer has to be static, and the guest is small.
KIT_CFLAGS := -std=gnu11 -O2 -g $(WARNINGS) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. -MMD -MP

.PHONY: kit
test check-long check-sanitized: kit
ifneq ($(KIT_KERNEL),)
kit: $(KIT_OUT)/record-check $(KIT_OUT)/initramfs $(KIT_OUT)/kernel $(KIT_OUT)/boot-disk
else
kit:
	@echo 'no kernel for guests (linux-image-cloud-amd64), tests with guests will skip: make deps'
endif

$(KIT_OUT)/record-writer: tests/guest/record-writer.c
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(KIT_CFLAGS) -static -o $@ $<

$(KIT_OUT)/record-check: tests/guest/record-check.c
	$(Q)mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(KIT_CFLAGS) $$(pkg-config --cflags glib-2.0) -o $@ $< \
	    $$(pkg-config --libs glib-2.0)

$(KIT_OUT)/initramfs: tests/guest/build-initramfs.sh $(wildcard tests/guest/root/*) \
                      $(KIT_OUT)/record-writer $(KIT_KERNEL) $(wildcard /usr/sbin/qemu-ga)
	$(call say,GUEST,$@)tests/guest/build-initramfs.sh $(KIT_KERNEL) $(KIT_OUT)/record-writer $@

$(KIT_OUT)/boot-disk: tests/guest/build-boot-disk.sh $(KIT_OUT)/initramfs
	$(call say,DISK,$@)tests/guest/build-boot-disk.sh $(KIT_KERNEL) $(KIT_OUT)/initramfs $@

$(KIT_OUT)/kernel: tests/guest/unpack-kernel.sh $(KIT_KERNEL)
	$(Q)mkdir -p $(@D)
	$(call say,KERNEL,$@)tests/guest/unpack-kernel.sh $(KIT_KERNEL) $@
