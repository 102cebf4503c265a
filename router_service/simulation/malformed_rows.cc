#include "router_service/simulation/malformed_rows.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock::router {

absl::Status MalformedRows::Skip(absl::string_view file, size_t line, absl::string_view problem) {
  ++count_;
  if (named_.size() < kNamed) named_.push_back(absl::StrCat(file, ":", line, ": ", problem));
  if (count_ <= limit_) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(count_, " malformed rows, at most ", limit_,
                                                 " are skipped:\n  ",
                                                 absl::StrJoin(named_, "\n  ")));
}

}  // namespace penstock::router
