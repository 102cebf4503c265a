#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock {

// The addresses of a host, each as HOST:PORT with a numeric host, in order, each once; none where
// the name is known and has none. Asks the system's resolver, which may block for as long as it
// likes. NOT_FOUND where nobody knows the name; UNAVAILABLE says what else was answered.
absl::StatusOr<std::vector<std::string>> ResolveName(const std::string& host,
                                                     const std::string& port);

// What ResolveName makes of getaddrinfo's `error`, which is not 0; OK: the name has no addresses.
absl::Status LookUpStatus(const std::string& host, int error);

}  // namespace penstock
