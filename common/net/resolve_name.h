#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace penstock {

// The addresses of a host, each as HOST:PORT with a numeric host, in order, each once. Asks the
// system's resolver, which may block for as long as it likes. UNAVAILABLE says what it answered.
absl::StatusOr<std::vector<std::string>> ResolveName(const std::string& host,
                                                     const std::string& port);

}  // namespace penstock
