#include "common/metrics/certificate_metrics.h"

#include <gmock/gmock.h>
#include <prometheus/registry.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "common/metrics/build_metrics.h"
#include "common/metrics/certificate_expiry.h"
#include "penstock/config/v1/gateway.pb.h"
#include "penstock/config/v1/router.pb.h"
#include "tests/support/captured_log.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// Files of the test's own, by how long their certificates last.
class CertificateTest : public testing::Test {
 protected:
  static std::string Certificate(int days) {
    const TempDir dir;
    const std::string command = absl::StrCat(
        "cd ", dir.path(), " && openssl req -x509 -newkey ec -pkeyopt ",
        "ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -keyout key -out pem -days ", days,
        " >log 2>&1");
    EXPECT_EQ(std::system(command.c_str()), 0) << dir.Read("log");
    return dir.Read("pem");
  }
  // As who renews certificates does: a reader sees the old file or the new one.
  void Replace(const std::string& name, const std::string& text) const {
    std::filesystem::rename(dir_.Write(name + ".next", text), dir_.File(name));
  }
  // How many days from this moment, to the nearest: making a certificate takes no half day.
  static int64_t Days(absl::Time expiry) {
    return (expiry - absl::Now() + absl::Hours(12)) / absl::Hours(24);
  }

  const TempDir dir_;
};

TEST_F(CertificateTest, OfAChainTheEarliestEndCounts) {
  const std::string chain = Certificate(30) + Certificate(10) + Certificate(20);
  const auto expiry = EarliestExpiry(dir_.Write("chain.pem", chain));
  ASSERT_TRUE(expiry.ok()) << expiry.status();
  EXPECT_EQ(Days(*expiry), 10);
}

TEST_F(CertificateTest, TextBetweenCertificatesIsNoMatter) {
  const std::string bundle = "# ca of ours\n" + Certificate(30) + "\nsubject: x\n" + Certificate(7);
  EXPECT_EQ(Days(*EarliestExpiry(dir_.Write("ca.pem", bundle))), 7);
}

TEST_F(CertificateTest, WhatIsNoCertificateIsSaidSo) {
  const auto code = [](const std::string& path) { return EarliestExpiry(path).status().code(); };
  EXPECT_EQ(code(dir_.File("missing")), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(dir_.Write("empty", "")), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(dir_.Write("text", "hello\n")), absl::StatusCode::kInvalidArgument);
  const std::string whole = Certificate(30);
  EXPECT_EQ(code(dir_.Write("cut", whole + whole.substr(0, whole.size() / 2))),
            absl::StatusCode::kInvalidArgument);
  std::string broken = whole;
  broken[whole.size() / 2] = '!';
  EXPECT_EQ(code(dir_.Write("broken", whole + broken)), absl::StatusCode::kInvalidArgument);
}

TEST(CertificateFilesTest, AConfigurationsFilesAreKnownByTheirUse) {
  config::v1::Gateway config;
  ASSERT_TRUE(ReadYaml(R"(
server:
  tls: {certificate_file: s.pem, key_file: s.key, client_ca_file: clients.pem}
  metrics_tls: {certificate_file: m.pem, key_file: m.key, client_ca_file: scrapers.pem}
  tracing: {collector: {address: "a:1", ca_file: collector-ca.pem}}
page: {tls: {certificate_file: p.pem, key_file: p.key}}
routers:
- {address: "a:1", ca_file: ca.pem, certificate_file: c.pem, key_file: c.key}
- {address: "b:1", ca_file: ca.pem}
)",
                       config)
                  .ok());
  EXPECT_THAT(CertificateFilesOf(config),
              UnorderedElementsAre(Pair("grpc_server", ElementsAre("s.pem")),
                                   Pair("grpc_client_ca", ElementsAre("clients.pem")),
                                   Pair("metrics_server", ElementsAre("m.pem", "scrapers.pem")),
                                   Pair("page_server", ElementsAre("p.pem")),
                                   Pair("client", ElementsAre("c.pem")),
                                   Pair("server_ca", ElementsAre("ca.pem", "collector-ca.pem"))));
}

TEST(CertificateFilesTest, ThoseOfPoolsExpertsAreFoundToo) {
  config::v1::Router config;
  auto& expert = *config.add_pools()->add_experts();
  auto& endpoint = *expert.add_replicas();
  endpoint.set_ca_file("ca.pem");
  EXPECT_THAT(CertificateFilesOf(config),
              UnorderedElementsAre(Pair("server_ca", ElementsAre("ca.pem"))));
  EXPECT_THAT(CertificateFilesOf(config::v1::Router()), IsEmpty());
}

class CertificateMetricsTest : public CertificateTest {
 protected:
  // In days from this moment, by use.
  std::map<std::string, int64_t> Exported() const {
    std::map<std::string, int64_t> exported;
    for (const prometheus::MetricFamily& family : registry_.Collect()) {
      if (family.name != "penstock_certificate_expiry_timestamp_seconds") continue;
      for (const prometheus::ClientMetric& metric : family.metric) {
        exported[metric.label[0].value] =
            Days(absl::FromUnixSeconds(static_cast<int64_t>(metric.gauge.value)));
      }
    }
    return exported;
  }

  CapturedLog log_;
  prometheus::Registry registry_;
  CertificateMetrics metrics_{registry_};
};

TEST_F(CertificateMetricsTest, EachUseHasTheEarliestOfItsFiles) {
  metrics_.Use({{"client", {dir_.Write("a", Certificate(30)), dir_.Write("b", Certificate(10))}},
                {"grpc_server", {dir_.Write("c", Certificate(20))}}});
  EXPECT_THAT(Exported(), ElementsAre(Pair("client", 10), Pair("grpc_server", 20)));
}

TEST_F(CertificateMetricsTest, AReplacedFileIsReadAgain) {
  metrics_.Use({{"grpc_server", {dir_.Write("a", Certificate(3))}}});
  EXPECT_THAT(Exported(), ElementsAre(Pair("grpc_server", 3)));
  Replace("a", Certificate(90));
  metrics_.Refresh();
  EXPECT_THAT(Exported(), ElementsAre(Pair("grpc_server", 90)));
}

TEST_F(CertificateMetricsTest, OfAFileThatCannotBeReadTheLastCountsAndTheLogSaysSoOnce) {
  metrics_.Use({{"grpc_server", {dir_.Write("a", Certificate(30))}}});
  Replace("a", "half a certific");
  metrics_.Refresh();
  metrics_.Refresh();
  EXPECT_THAT(Exported(), ElementsAre(Pair("grpc_server", 30)));
  EXPECT_THAT(log_.Lines(), ElementsAre(HasSubstr("event=certificate_unreadable")));
  Replace("a", Certificate(60));
  metrics_.Refresh();
  EXPECT_THAT(Exported(), ElementsAre(Pair("grpc_server", 60)));
  std::filesystem::remove(dir_.File("a"));
  metrics_.Refresh();
  EXPECT_THAT(log_.Lines(), SizeIs(2));
}

TEST_F(CertificateMetricsTest, OfAFileThatNeverCouldBeReadThereIsNoSample) {
  metrics_.Use({{"client", {dir_.File("missing")}}});
  EXPECT_THAT(Exported(), IsEmpty());
  EXPECT_THAT(log_.Lines(), SizeIs(1));
}

TEST_F(CertificateMetricsTest, AUseThatIsNoMoreHasNoSample) {
  const std::string file = dir_.Write("a", Certificate(30));
  metrics_.Use({{"client", {file}}, {"server_ca", {file}}});
  metrics_.Use({{"server_ca", {file}}});
  EXPECT_THAT(Exported(), ElementsAre(Pair("server_ca", 30)));
}

TEST(BuildMetricsTest, TheLabelsSayWhichServiceOfWhichVersionThisIs) {
  prometheus::Registry registry;
  ExportBuildInfo(registry, "router");
  const auto families = registry.Collect();
  ASSERT_THAT(families, SizeIs(1));
  EXPECT_EQ(families[0].name, "penstock_build_info");
  ASSERT_THAT(families[0].metric, SizeIs(1));
  EXPECT_EQ(families[0].metric[0].gauge.value, 1);
  ASSERT_THAT(families[0].metric[0].label, SizeIs(2));
  EXPECT_EQ(families[0].metric[0].label[0].value, "router");
  EXPECT_THAT(families[0].metric[0].label[1].value, testing::MatchesRegex("[0-9]+\\.[0-9]+\\..*"));
}

}  // namespace
}  // namespace penstock
