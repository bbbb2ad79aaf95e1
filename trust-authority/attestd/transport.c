/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/attest/spki.h"
#include "trust-authority/attestd/finish.h"

int
transport_read(const struct field_bytes *der, struct jwk **out,
    struct err *err)
{
	const uint8_t *point;

	_Static_assert(SPKI_P256_POINT == 1 + 2 * JWK_COORDINATE, "a point");
	if (spki_p256(der->data, der->size, &point) < 0)
		return err_set(err, ERR_FORMAT, "the transport key is not a "
		    "public key on P-256 in DER");
	return jwk_from_point(point, out, err);
}
