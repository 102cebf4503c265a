#include "common/endpoint_names.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace penstock {
namespace {

constexpr char kScheme[] = "dns:///";
constexpr int kUnaskedRounds = 3;
// While a configuration is staged the names of the one that serves are asked for too.
constexpr size_t kMostKept = 2 * EndpointNames::kMostNames;

// Host and port of a name that passed Check.
std::pair<std::string, std::string> Parts(absl::string_view name) {
  const absl::string_view rest = absl::StripPrefix(name, kScheme);
  const size_t colon = rest.rfind(':');
  return {std::string(rest.substr(0, colon)), std::string(rest.substr(colon + 1))};
}

}  // namespace

EndpointNames::EndpointNames(Resolve resolve, absl::Duration every)
    : resolve_(std::move(resolve)), every_(every) {}

bool EndpointNames::IsName(absl::string_view address) { return absl::StartsWith(address, kScheme); }

std::string EndpointNames::HostOf(absl::string_view name) { return Parts(name).first; }

absl::Status EndpointNames::Check(absl::string_view address) {
  if (!IsName(address)) return absl::OkStatus();
  const absl::string_view rest = absl::StripPrefix(address, kScheme);
  const size_t colon = rest.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(rest.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("address is ", address, ", wanted dns:///NAME:PORT"));
  }
  return absl::OkStatus();
}

void EndpointNames::Start(std::function<void()> on_round) {
  thread_ = std::thread([this, on_round = std::move(on_round)] { Run(on_round); });
}

void EndpointNames::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

std::vector<std::string> EndpointNames::AddressesOf(const std::string& name) {
  MutexLock lock(mutex_);
  const auto known = names_.find(name);
  if (known != names_.end()) {
    known->second.unasked = 0;
    return known->second.addresses;
  }
  if (names_.size() < kMostKept) {
    names_.emplace(name, Name());
    soon_ = true;
    wake_.NotifyAll();
  }
  return {};
}

std::string EndpointNames::WhyNone(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto known = names_.find(name);
  return absl::StrCat(name, " ",
                      known == names_.end() ? "waits for others to be forgotten"
                                            : known->second.trouble);
}

void EndpointNames::Run(const std::function<void()>& on_round) {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!stopping_ && !soon_ && !names_.empty()) wake_.WaitFor(mutex_, every_);
      while (!stopping_ && names_.empty()) wake_.Wait(mutex_);
      if (stopping_) return;
      soon_ = false;
    }
    LookUp();
    on_round();
  }
}

void EndpointNames::LookUp() {
  std::vector<std::string> names;
  {
    MutexLock lock(mutex_);
    for (auto it = names_.begin(); it != names_.end();) {
      if (++it->second.unasked > kUnaskedRounds) {
        it = names_.erase(it);
        continue;
      }
      names.push_back(it->first);
      ++it;
    }
  }
  for (const std::string& name : names) {
    const auto [host, port] = Parts(name);
    absl::StatusOr<std::vector<std::string>> found = resolve_(host, port);
    MutexLock lock(mutex_);
    if (stopping_) return;
    const auto known = names_.find(name);
    if (known == names_.end()) continue;
    if (absl::IsNotFound(found.status())) {
      known->second.trouble = "is not known";
    } else if (!found.ok()) {
      known->second.trouble = absl::StrCat("cannot be looked up: ", found.status().message());
    } else if (found->empty()) {
      known->second.trouble = "is known, but has no addresses";
    } else {
      if (found->size() > kMostAddresses) found->resize(kMostAddresses);
      known->second.trouble.clear();
      known->second.addresses = *std::move(found);
    }
  }
}

}  // namespace penstock
