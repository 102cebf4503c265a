#include "tests/integration/client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/integration/process.h"

namespace penstock {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

}  // namespace

const InferReply& Pending::Wait() {
  if (!done_.WaitWithTimeout(kPatience)) {
    ADD_FAILURE() << "no answer";
    Cancel();
    done_.Wait();
  }
  return reply_;
}

TestClient::TestClient(const std::string& address, std::string key) {
  cli::ClientOptions options;
  options.target = address;
  auto client = cli::PoolClient::Create(options);
  EXPECT_TRUE(client.ok()) << client.status();
  client_ = *std::move(client);
  if (!key.empty()) metadata_.emplace_back("authorization", absl::StrCat("Bearer ", key));
  const absl::Status healthy = client_->WaitUntilHealthy(kPatience);
  EXPECT_TRUE(healthy.ok()) << healthy;
}

std::shared_ptr<Pending> TestClient::Send(Bytes request, absl::Time deadline) {
  auto pending = std::make_shared<Pending>();
  CallOptions options;
  options.deadline = deadline;
  options.metadata = metadata_;
  pending->call_ = client_->target().ModelInfer(std::move(request), std::move(options),
                                                [pending](InferReply reply) {
                                                  pending->reply_ = std::move(reply);
                                                  pending->done_.Notify();
                                                });
  return pending;
}

cli::Answer TestClient::Answered(const InferRequest& request) {
  auto answer = cli::DecodeAnswer(Call(request));
  EXPECT_TRUE(answer.ok()) << answer.status();
  return answer.ok() ? *std::move(answer) : cli::Answer();
}

bool TestClient::WaitForExperts() {
  return Eventually(
      [&] {
        grpc::ClientContext context;
        client_->Prepare(context, absl::Seconds(5));
        for (const auto& [key, value] : metadata_) context.AddMetadata(key, value);
        v1::ListExpertsResponse response;
        if (!client_->routing().ListExperts(&context, {}, &response).ok()) return false;
        for (const v1::ExpertStatus& expert : response.experts()) {
          if (!expert.admitted()) return false;
          for (const v1::ReplicaStatus& replica : expert.replicas()) {
            if (!replica.healthy()) return false;
          }
        }
        return response.experts_size() > 0;
      },
      kPatience);
}

RawAnswer Essence(const cli::Answer& answer) {
  return {answer.Text("penstock_experts"), answer.Text("penstock_weights"), answer.outputs};
}

std::string Difference(const RawAnswer& a, const RawAnswer& b) {
  if (a.experts != b.experts) return absl::StrCat("experts ", a.experts, " and ", b.experts);
  if (a.weights != b.weights) return absl::StrCat("weights ", a.weights, " and ", b.weights);
  if (a.outputs.size() != b.outputs.size()) {
    return absl::StrCat(a.outputs.size(), " and ", b.outputs.size(), " outputs");
  }
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    const Tensor& x = a.outputs[i];
    const Tensor& y = b.outputs[i];
    if (x.name != y.name || x.datatype != y.datatype || x.shape != y.shape) {
      return absl::StrCat("outputs ", x.name, ShapeString(x.shape), " and ", y.name,
                          ShapeString(y.shape));
    }
    if (!(x.data == y.data)) return absl::StrCat("the bytes of output ", x.name, " of ", a.experts);
  }
  return "";
}

}  // namespace penstock
