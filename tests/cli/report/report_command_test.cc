// `penstock report` and `penstock status` of the built binary against servers of this process.

#include <grpcpp/grpcpp.h>

#include <map>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "penstock/v1/routing.grpc.pb.h"
#include "tests/integration/process.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

int Penstock(std::vector<std::string> arguments, std::string& output) {
  arguments.insert(arguments.begin(), std::string(PENSTOCK_BIN_DIR) + "/penstock");
  return RunCommand(arguments, output);
}

// Takes reports of every decision but "unknown".
class Reports final : public v1::Routing::Service {
 public:
  grpc::Status Report(grpc::ServerContext*, const v1::ReportRequest* request,
                      v1::ReportResponse*) override {
    if (request->decision_id() == "unknown") return {grpc::StatusCode::NOT_FOUND, "no such decision"};
    const std::lock_guard<std::mutex> lock(mutex_);
    taken_[request->decision_id()] = request->quality();
    return grpc::Status::OK;
  }
  std::map<std::string, double> taken() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return taken_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, double> taken_;
};

class ReportCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&reports_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  int Report(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"report", "--target", address_});
    return Penstock(arguments, output_);
  }

  Reports reports_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_, output_;
  const TempDir folder_;
};

TEST_F(ReportCommandTest, SendsOneReport) {
  EXPECT_EQ(Report({"--decision", "a-1", "--quality", "0.5"}), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("reported 1, refused 0"));
  EXPECT_THAT(reports_.taken(), ElementsAre(Pair("a-1", 0.5)));
}

TEST_F(ReportCommandTest, ARefusalIsTheServersWord) {
  EXPECT_EQ(Report({"--decision", "unknown", "--quality", "1"}), 1);
  EXPECT_THAT(output_, HasSubstr("error: NOT_FOUND: no such decision"));
}

TEST_F(ReportCommandTest, SendsAFileAndNamesWhatWasRefused) {
  const std::string file = folder_.Write("feedback.jsonl",
                                         "{\"decision_id\": \"a-1\", \"quality\": 1}\n"
                                         "{\"decision_id\": \"unknown\", \"quality\": 1}\n"
                                         "{\"decision_id\": \"a-2\", \"quality\": 0}\n");
  EXPECT_EQ(Report({"--file", file}), 1);
  EXPECT_THAT(output_, AllOf(HasSubstr("reported 2, refused 1"), HasSubstr("unknown"),
                             HasSubstr("NOT_FOUND: no such decision"),
                             HasSubstr("1 of 3 reports were refused")));
  EXPECT_THAT(reports_.taken(), ElementsAre(Pair("a-1", 1), Pair("a-2", 0)));

  EXPECT_EQ(Report({"--file", file, "--json"}), 1);
  // The error is on the same pipe, before or after.
  const size_t begin = output_.find('{');
  const auto json = nlohmann::json::parse(output_.substr(begin, output_.rfind('}') + 1 - begin));
  EXPECT_EQ(json["reported"], 2);
  EXPECT_EQ(json["refused"][0]["line"], 2);
  EXPECT_EQ(json["refused"][0]["decision_id"], "unknown");
}

TEST_F(ReportCommandTest, NothingIsSentOfAFileThatIsWrongSomewhere) {
  const std::string file = folder_.Write("feedback.jsonl",
                                         "{\"decision_id\": \"a-1\", \"quality\": 1}\n"
                                         "{\"decision_id\": \"a-2\", \"quality\": 11}\n");
  EXPECT_EQ(Report({"--file", file}), 1);
  EXPECT_THAT(output_, AllOf(HasSubstr("feedback.jsonl:2: quality"), HasSubstr("got 11")));
  EXPECT_THAT(reports_.taken(), testing::IsEmpty());
}

TEST_F(ReportCommandTest, SaysWhatIsMissingAndWhatIsOutOfRange) {
  EXPECT_EQ(Report({"--decision", "a-1"}), 1);
  EXPECT_THAT(output_, HasSubstr("wanted --decision and --quality, or --file"));
  EXPECT_EQ(Report({"--decision", "a-1", "--quality", "2"}), 1);
  EXPECT_THAT(output_, HasSubstr("quality: wanted a number in [0, 1], got 2"));
  EXPECT_EQ(Report({"--file", folder_.File("nothing")}), 1);
  EXPECT_THAT(output_, HasSubstr("--file: cannot open"));
  EXPECT_THAT(reports_.taken(), testing::IsEmpty());
}

std::unique_ptr<Process> Router(const std::string& more) {
  return Process::Start(
      "penstock-router",
      absl::StrCat("server: {grpc: \"127.0.0.1:0\", metrics: \"127.0.0.1:0\", threads: 1, "
                   "drain: {grace: 0s}}\n",
                   more,
                   "pools: [{name: late, experts: [{name: slow, replicas: [{address: "
                   "\"127.0.0.1:1\"}]}]}]\n"));
}

TEST(StatusCommandTest, OfARouterThatDoesNotTrustTheCallerSaysWhomToAsk) {
  const auto router = Router("");
  ASSERT_NE(router, nullptr);
  std::string output;
  EXPECT_EQ(Penstock({"status", "--once", "--target", router->grpc()}, output), 1);
  EXPECT_THAT(output, AllOf(HasSubstr("error: PERMISSION_DENIED: "), HasSubstr("--target of a gateway"),
                            HasSubstr("trust_plaintext"), HasSubstr("--router " + router->grpc())));
}

TEST(StatusCommandTest, OfARouterThatTrustsTheCaller) {
  const auto router = Router("trust_plaintext: true\n");
  ASSERT_NE(router, nullptr);
  for (const char* option : {"--router", "--target"}) {
    std::string output;
    EXPECT_EQ(Penstock({"status", "--once", option, router->grpc()}, output), 0) << output;
    EXPECT_THAT(output, AllOf(HasSubstr("late"), HasSubstr("slow")));
  }
}

}  // namespace
}  // namespace penstock
