#pragma once

#include <string>

#include "common/bytes.h"

namespace penstock {

// Reads `message` with the wire scanner and with protobuf's generated parser, and does with both
// what gateway, router and expert service do: cut parameters, decode tensors, encode them again.
// Returns what differs; empty: nothing does.
std::string DifferenceInRequest(const Bytes& message);
std::string DifferenceInResponse(const Bytes& message);

}  // namespace penstock
