/* SPDX-License-Identifier: MIT
 *
 * place.h - before all of an explored source: what the explorer has the lot
 * hash in place of an address, see statics.c. */
#ifndef PKD_MODEL_PLACE_H
#define PKD_MODEL_PLACE_H

/* No header is included: the sources say first what they want to see in those. */
__UINTPTR_TYPE__ explore_place(const void* key);
#define PKD__PLACE(key) explore_place(key)

#endif
