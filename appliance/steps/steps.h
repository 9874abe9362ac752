/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The functions behind the table in step.c, one of each step; what a step takes and gives stands at
 * its file's head. */

#include "appliance/steps/step.h"
