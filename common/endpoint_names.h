#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace penstock {

// The addresses behind endpoints `dns:///NAME:PORT`, looked up again and again on a thread of its
// own. A look-up that fails, or finds nothing, changes nothing: health tells of addresses that are
// gone. Thread-safe.
class EndpointNames {
 public:
  static constexpr size_t kMostNames = 256;  // of one configuration
  static constexpr size_t kMostAddresses = 64;  // of one name; of more the first ones count
  static constexpr absl::Duration kEvery = absl::Seconds(5);

  // -> each address as HOST:PORT; NOT_FOUND where nobody knows the name. May block.
  using Resolve = std::function<absl::StatusOr<std::vector<std::string>>(const std::string& host,
                                                                         const std::string& port)>;

  explicit EndpointNames(Resolve resolve, absl::Duration every = kEvery);
  ~EndpointNames() { Stop(); }

  // `on_round` runs on the thread, after each round of look-ups.
  void Start(std::function<void()> on_round);
  // When it returns `on_round` does not run, and will not.
  void Stop();

  static bool IsName(absl::string_view address);
  // NAME of `dns:///NAME:PORT`.
  static std::string HostOf(absl::string_view name);
  // INVALID_ARGUMENT where an address begins like a name, and is none.
  static absl::Status Check(absl::string_view address);

  // Of a name; empty where it is not known yet: then it is looked up soon. Names that nobody has
  // asked for during three rounds are forgotten.
  std::vector<std::string> AddressesOf(const std::string& name);
  // Why there are none: nobody knows the name, it has no addresses, or what went wrong.
  std::string WhyNone(const std::string& name) const;

 private:
  struct Name {
    std::vector<std::string> addresses;
    std::string trouble = "has not been looked up yet";  // with the last look-up; empty: none
    int unasked = 0;  // rounds
  };

  void Run(const std::function<void()>& on_round);
  void LookUp();

  const Resolve resolve_;
  const absl::Duration every_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::map<std::string, Name> names_ ABSL_GUARDED_BY(mutex_);
  bool soon_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace penstock
