#include "common/tracing/tracing_options.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

constexpr double kMostPerSecond = 100'000;
constexpr uint32_t kLongestQueue = 1'000'000;
constexpr uint32_t kLargestBatch = 4096;
constexpr absl::Duration kShortest = absl::Milliseconds(10);
constexpr absl::Duration kLongest = absl::Seconds(60);

template <class Value>
absl::Status OutOfRange(absl::string_view field, absl::string_view range, const Value& found) {
  return absl::InvalidArgumentError(
      absl::StrCat("server.tracing.", field, ": wanted one in ", range, ", got ", found));
}

absl::Status ReadCount(absl::string_view field, uint32_t found, uint32_t most, size_t& to) {
  if (found < 1 || found > most) return OutOfRange(field, absl::StrCat("[1, ", most, "]"), found);
  to = found;
  return absl::OkStatus();
}

absl::Status ReadTime(absl::string_view field, const google::protobuf::Duration& found,
                      absl::Duration& to) {
  to = absl::Seconds(found.seconds()) + absl::Nanoseconds(found.nanos());
  if (to >= kShortest && to <= kLongest) return absl::OkStatus();
  return OutOfRange(field, "[10ms, 60s]", absl::FormatDuration(to));
}

absl::Status CheckCollector(const config::v1::Endpoint& collector) {
  const std::string& address = collector.address();
  if (address.empty()) {
    return absl::InvalidArgumentError("server.tracing.collector.address: is empty");
  }
  if (!absl::StartsWith(address, "inprocess:")) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "server.tracing.collector.address: wanted HOST:PORT or unix:PATH, got ", address));
}

}  // namespace

absl::StatusOr<TracingOptions> TracingOptions::Read(const config::v1::Tracing& config) {
  TracingOptions options;
  options.on = config.has_collector();
  if (options.on) PENSTOCK_RETURN_IF_ERROR(CheckCollector(config.collector()));
  if (config.has_sample_share()) {
    options.sample_share = config.sample_share();
    // Written so that NaN is refused.
    if (!(options.sample_share >= 0 && options.sample_share <= 1)) {
      return OutOfRange("sample_share", "[0, 1]", options.sample_share);
    }
  }
  if (config.has_max_per_second()) {
    options.max_per_second = config.max_per_second();
    if (!(options.max_per_second > 0 && options.max_per_second <= kMostPerSecond)) {
      return OutOfRange("max_per_second", "(0, 100000]", options.max_per_second);
    }
  }
  if (config.has_max_queue()) {
    PENSTOCK_RETURN_IF_ERROR(
        ReadCount("max_queue", config.max_queue(), kLongestQueue, options.batches.max_queue));
  }
  if (config.has_max_batch()) {
    PENSTOCK_RETURN_IF_ERROR(
        ReadCount("max_batch", config.max_batch(), kLargestBatch, options.batches.max_batch));
  }
  if (config.has_max_delay()) {
    PENSTOCK_RETURN_IF_ERROR(ReadTime("max_delay", config.max_delay(), options.batches.max_delay));
  }
  if (config.has_timeout()) {
    PENSTOCK_RETURN_IF_ERROR(ReadTime("timeout", config.timeout(), options.timeout));
  }
  return options;
}

}  // namespace penstock
