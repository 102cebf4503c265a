#pragma once

#include <string>

#include "common/random.h"

namespace penstock {

// Opens a connection to HOST:PORT and sends HTTP/2 that is broken: frames cut, of wrong lengths and
// types, gRPC's message prefix with flags and lengths that do not fit, headers that no client
// sends. Then it sends no more, and reads until the server closes or has been silent for a moment.
// False where no connection could be had.
bool SendBrokenConnection(const std::string& address, CounterRandom& random);

}  // namespace penstock
