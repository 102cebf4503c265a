#include "common/tracing/otlp_encoding.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace penstock {
namespace {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;

std::unique_ptr<SpanRecord> Record() {
  auto record = std::make_unique<SpanRecord>();
  record->context = *TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03");
  record->parent = 0x0102030405060708;
  record->name = "served";
  record->kind = SpanKind::kClient;
  record->start = absl::FromUnixNanos(1'000'000'007);
  record->end = absl::FromUnixNanos(2'000'000'009);
  record->attributes = {
      {"text", std::string("t")}, {"flag", true}, {"count", int64_t{-3}}, {"ratio", 0.5}};
  record->failed = true;
  return record;
}

TEST(OtlpEncodingTest, WritesWhatACollectorReads) {
  SpanBatch batch;
  batch.push_back(Record());
  const ExportTraceServiceRequest found = EncodeSpans({"penstock-gateway", "1.2.3", "abc"}, batch);
  ExportTraceServiceRequest wanted;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        resource_spans {
          resource {
            attributes {
              key: "service.namespace"
              value { string_value: "penstock" }
            }
            attributes {
              key: "service.name"
              value { string_value: "penstock-gateway" }
            }
            attributes {
              key: "service.version"
              value { string_value: "1.2.3" }
            }
            attributes {
              key: "service.instance.id"
              value { string_value: "abc" }
            }
          }
          scope_spans {
            scope { name: "penstock" version: "1.2.3" }
            spans {
              trace_id: "\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36"
              span_id: "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7"
              parent_span_id: "\x01\x02\x03\x04\x05\x06\x07\x08"
              name: "served"
              kind: SPAN_KIND_CLIENT
              start_time_unix_nano: 1000000007
              end_time_unix_nano: 2000000009
              flags: 3
              attributes {
                key: "text"
                value { string_value: "t" }
              }
              attributes {
                key: "flag"
                value { bool_value: true }
              }
              attributes {
                key: "count"
                value { int_value: -3 }
              }
              attributes {
                key: "ratio"
                value { double_value: 0.5 }
              }
              status { code: STATUS_CODE_ERROR }
            }
          }
        })pb",
      &wanted));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(found, wanted))
      << found.DebugString();
}

TEST(OtlpEncodingTest, ARootHasNoParentAndSuccessNoStatus) {
  SpanBatch batch;
  batch.push_back(Record());
  batch[0]->parent = 0;
  batch[0]->failed = false;
  const ExportTraceServiceRequest found = EncodeSpans({}, batch);
  const auto& span = found.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(span.parent_span_id(), "");
  EXPECT_FALSE(span.has_status());
}

}  // namespace
}  // namespace penstock
