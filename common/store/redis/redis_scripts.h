#pragma once

#include "common/store/redis/redis_command.h"

namespace penstock {

// What must happen in one step on the server. A time to live of "" is for ever. Errors begin with
// FULL (too many fields) or RANGE (a sum leaves 64 bits). They run even when the server's memory is
// full: they are what limits spending, and what they write is small.

// time to live in ms, most fields, then field and delta in turn.
const RedisScript& AddCountersScript();
// time to live, most fields, then field and total in turn.
const RedisScript& RaiseTotalsScript();
// time to live, most fields, cap, want, owner, granted, returned, settled.
// Answers the owner's granted total and what all have taken, as texts.
const RedisScript& TakeBudgetScript();
// owner, time to live. They answer {1 or 0, who holds it}.
const RedisScript& AcquireLeaseScript();
const RedisScript& RenewLeaseScript();
// owner.
const RedisScript& ReleaseLeaseScript();

}  // namespace penstock
