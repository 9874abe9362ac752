#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The data path links without the hypervisor, the database and the web server: a crash or a
# security fix in one of those is none of its business.
set -u
. "$(dirname "$0")/common.sh"

program=$LANDFALL_BUILD/landfall-replicate
if [ ! -x "$program" ]; then
    finding "$program: is not built, so it cannot be judged: run make"
else
    while IFS= read -r library; do
        case $library in
        libvirt* | libsqlite3* | libmicrohttpd* | libcurl-gnutls*)
            finding "$program: needs $library: move that code to snapshot/ or appliance/"
            ;;
        esac
    done < <(readelf -d "$program" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
fi
verdict
