/* SPDX-License-Identifier: BSD-3-Clause */
#include "trust-authority/kmip/names.h"

#include <stddef.h>

#include "trust-authority/kmip/kmip.h"
#include "trust-authority/kmip/protocol.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	uint32_t operation;
	const char *name;
} operations[] = {
	{ OPERATION_CREATE, "Create" },
	{ OPERATION_LOCATE, "Locate" },
	{ OPERATION_GET, "Get" },
	{ OPERATION_GET_ATTRIBUTES, "Get Attributes" },
	{ OPERATION_ACTIVATE, "Activate" },
	{ OPERATION_REVOKE, "Revoke" },
	{ OPERATION_DESTROY, "Destroy" },
	{ OPERATION_QUERY, "Query" },
	{ OPERATION_DISCOVER_VERSIONS, "Discover Versions" },
};

static const char *const statuses[] = {
	"Success", "Operation Failed", "Operation Pending", "Operation Undone",
};

static const char *const states[] = {
	NULL, "Pre-Active", "Active", "Deactivated", "Compromised",
	"Destroyed", "Destroyed Compromised",
};

/* KMIP 2.0, 11.48; those up to 0x18 and 0x100 are KMIP 1.4's, 9.1.3.2.29. */
static const char *const reasons[] = {
	[0x01] = "Item Not Found",
	[0x02] = "Response Too Large",
	[0x03] = "Authentication Not Successful",
	[0x04] = "Invalid Message",
	[0x05] = "Operation Not Supported",
	[0x06] = "Missing Data",
	[0x07] = "Invalid Field",
	[0x08] = "Feature Not Supported",
	[0x09] = "Operation Canceled By Requester",
	[0x0a] = "Cryptographic Failure",
	[0x0b] = "Illegal Operation",
	[0x0c] = "Permission Denied",
	[0x0d] = "Object Archived",
	[0x0e] = "Index Out of Bounds",
	[0x0f] = "Application Namespace Not Supported",
	[0x10] = "Key Format Type Not Supported",
	[0x11] = "Key Compression Type Not Supported",
	[0x12] = "Encoding Option Error",
	[0x13] = "Key Value Not Present",
	[0x14] = "Attestation Required",
	[0x15] = "Attestation Failed",
	[0x16] = "Sensitive",
	[0x17] = "Not Extractable",
	[0x18] = "Object Already Exists",
	[0x19] = "Invalid Ticket",
	[0x1a] = "Usage Limit Exceeded",
	[0x1b] = "Numeric Range",
	[0x1c] = "Invalid Data Type",
	[0x1d] = "Read Only Attribute",
	[0x1e] = "Multi Valued Attribute",
	[0x1f] = "Unsupported Attribute",
	[0x20] = "Attribute Instance Not Found",
	[0x21] = "Attribute Not Found",
	[0x22] = "Attribute Read Only",
	[0x23] = "Attribute Single Valued",
	[0x24] = "Bad Cryptographic Parameters",
	[0x25] = "Bad Password",
	[0x26] = "Codec Error",
	[0x28] = "Illegal Object Type",
	[0x29] = "Incompatible Cryptographic Usage Mask",
	[0x2a] = "Internal Server Error",
	[0x2b] = "Invalid Asynchronous Correlation Value",
	[0x2c] = "Invalid Attribute",
	[0x2d] = "Invalid Attribute Value",
	[0x2e] = "Invalid Correlation Value",
	[0x2f] = "Invalid CSR",
	[0x30] = "Invalid Object Type",
	[0x32] = "Key Wrap Type Not Supported",
	[0x34] = "Missing Initialization Vector",
	[0x35] = "Non Unique Name Attribute",
	[0x36] = "Object Destroyed",
	[0x37] = "Object Not Found",
	[0x39] = "Not Authorised",
	[0x3a] = "Server Limit Exceeded",
	[0x3b] = "Unknown Enumeration",
	[0x3c] = "Unknown Message Extension",
	[0x3d] = "Unknown Tag",
	[0x3e] = "Unsupported Cryptographic Parameters",
	[0x3f] = "Unsupported Protocol Version",
	[0x40] = "Wrapping Object Archived",
	[0x41] = "Wrapping Object Destroyed",
	[0x42] = "Wrapping Object Not Found",
	[0x43] = "Wrong Key Lifecycle State",
	[0x44] = "Protection Storage Unavailable",
	[0x100] = "General Failure",
};

static const char *
at(const char *const *names, size_t count, uint32_t i)
{
	return i < count && names[i] != NULL ? names[i] : "unknown";
}

const char *
name_of_operation(uint32_t operation)
{
	for (size_t i = 0; i < COUNT(operations); i++)
		if (operations[i].operation == operation)
			return operations[i].name;
	return "unknown";
}

const char *
name_of_status(uint32_t status)
{
	return at(statuses, COUNT(statuses), status);
}

const char *
name_of_reason(uint32_t reason)
{
	return at(reasons, COUNT(reasons), reason);
}

const char *
kmip_state_name(enum kmip_state state)
{
	return at(states, COUNT(states), (uint32_t)state);
}
