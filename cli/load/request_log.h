#pragma once

#include <fstream>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cli/load/load_generator.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "nlohmann/json_fwd.hpp"

namespace penstock::cli {

// A file with a JSON line for every request as it ends: `due` and `ended` in Unix seconds, `ms`
// from the one to the other, `target` (empty: none was healthy), `code`, and `message` where that
// is not OK. And one with `at` and `retried` (why) for every second attempt as it is made.
// Thread-safe.
class RequestLog {
 public:
  // INVALID_ARGUMENT where the file cannot be written.
  static absl::StatusOr<std::unique_ptr<RequestLog>> Create(const std::string& path);

  void Add(const FinishedRequest& request);
  void AddRetry(absl::string_view why, absl::Time at);
  // UNKNOWN where lines are missing, say on a full disk.
  absl::Status Close();

 private:
  explicit RequestLog(const std::string& path) : path_(path), file_(path) {}
  void Write(const nlohmann::ordered_json& line);

  const std::string path_;
  Mutex mutex_;
  std::ofstream file_ ABSL_GUARDED_BY(mutex_);
};

// A target whose answers say which one gave them, in a trailer that nobody sent.
class NamingTarget final : public InferTarget {
 public:
  static constexpr char kTrailer[] = "load-target";

  // `target` is borrowed.
  explicit NamingTarget(InferTarget& target) : target_(target) {}

  std::shared_ptr<OutgoingCall> ModelInfer(Bytes request, CallOptions options,
                                           absl::AnyInvocable<void(InferReply)> done) override;
  bool healthy() const override { return target_.healthy(); }
  absl::string_view address() const override { return target_.address(); }

 private:
  InferTarget& target_;
};

}  // namespace penstock::cli
