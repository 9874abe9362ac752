/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells the outside world of alerts, one after the other, from what the state says is still to be
 * told. */

#include "appliance/state/state.h"

#include <gio/gio.h>

struct alert_delivery;

struct alert_delivery *alert_delivery_new(struct state *state, GCancellable *closing);
void alert_delivery_free(struct alert_delivery *delivery);

/* There may be something to tell. */
void alert_delivery_go(struct alert_delivery *delivery);
