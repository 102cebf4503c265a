#pragma once

#include <string>

#include "common/random.h"

namespace penstock {

// Changes the bytes of a serialised message: bits, lengths, tags, order, number of fields, at any
// depth. What comes out may or may not be protobuf.
std::string MutateWire(std::string message, CounterRandom& random);

}  // namespace penstock
