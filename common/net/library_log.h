#pragma once

namespace penstock {

// From here on errors of gRPC and protobuf go to the process's log as one line each, a line a
// second at most, as strangers cause them; their other words only where it logs debug. Call once,
// before either library is used.
void LogForLibraries();

}  // namespace penstock
