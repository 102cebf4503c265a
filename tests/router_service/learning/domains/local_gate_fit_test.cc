#include "router_service/learning/domains/local_gate_fit.h"

#include <cmath>
#include <limits>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {
namespace {

using ::testing::HasSubstr;

std::vector<float> Says(size_t label, double sure) {
  std::vector<float> p(3, static_cast<float>((1 - sure) / 2));
  p[label] = static_cast<float>(sure);
  return p;
}

// The tenant's requests lie about (3, 0), generic ones about (0, 0). On the tenant's the global
// expert is unsure and wrong in half of the cases, where the local one is sure and right; on
// generic ones it is right on 19 of 20 and the local one guesses, at times surely.
CustomisationRow Row(const std::string& tenant, CounterRandom& random) {
  CustomisationRow row;
  row.tenant = tenant;
  row.label = random.Below(3);
  const bool own = !tenant.empty();
  const bool hard = own && random.Uniform() < 0.5;
  const bool global_right = own ? !hard : random.Uniform() < 0.95;
  row.global = Says(global_right ? row.label : (row.label + 1) % 3,
                    (hard ? 0.4 : 0.7) + 0.25 * random.Uniform());
  const bool local_right = own ? random.Uniform() < 0.95 : random.Below(3) == 0;
  row.local = Says(local_right ? row.label : (row.label + 2) % 3,
                   (own ? 0.7 : 0.4) + 0.25 * random.Uniform());
  row.z = {static_cast<float>((own ? 3 : 0) + random.Uniform() - 0.5),
           static_cast<float>(random.Uniform() - 0.5)};
  return row;
}

std::vector<CustomisationRow> Rows(size_t own, size_t generic, uint64_t seed) {
  CounterRandom random(seed, 1);
  std::vector<CustomisationRow> rows;
  for (size_t i = 0; i < own; ++i) rows.push_back(Row("acme", random));
  for (size_t i = 0; i < generic; ++i) rows.push_back(Row("", random));
  return rows;
}

TEST(LocalGateFit, MendsTheTenantsRowsAndLeavesGenericOnesAlone) {
  const auto fit = FitLocalGate(Rows(400, 2000, 1), "acme");
  ASSERT_THAT(fit.status(), IsOk());
  EXPECT_EQ(fit->tenant_rows, 400u);
  EXPECT_EQ(fit->generic_rows, 2000u);
  EXPECT_GT(fit->tenant_gated, fit->tenant_global + 0.25);
  EXPECT_GE(fit->generic_gated, fit->generic_global - 0.002);
  EXPECT_LT(fit->gate.tau, 1);
  EXPECT_GE(fit->gate.tau, 0.5);
}

// The bound is on the mean over calibration sets and new requests.
TEST(LocalGateFit, NewGenericRequestsLoseNoMoreThanTheBound) {
  constexpr int kRounds = 60, kNew = 500;
  constexpr double kBound = 0.02;
  double sum = 0, squares = 0;
  size_t gated = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<CustomisationRow> rows = Rows(200, 300, 100 + static_cast<uint64_t>(round));
    // Requests near the tenant's, so that the bound has something to do.
    for (CustomisationRow& row : rows) {
      if (row.tenant.empty()) row.z[0] += 2.5f;
    }
    const auto fit = FitLocalGate(rows, "acme", kBound);
    ASSERT_THAT(fit.status(), IsOk());
    CounterRandom random(7, 1000 + static_cast<uint64_t>(round));
    double lost = 0;
    for (int i = 0; i < kNew; ++i) {
      CustomisationRow row = Row("", random);
      row.z[0] += 2.5f;
      const auto features = LocalGate::FeaturesOf(row.global, row.local, fit->gate.Distance(row.z));
      if (!fit->gate.TakesLocal(features)) continue;
      ++gated;
      const auto right = [&](const std::vector<float>& p) {
        return std::max_element(p.begin(), p.end()) - p.begin() ==
               static_cast<std::ptrdiff_t>(row.label);
      };
      lost += right(row.global) && !right(row.local) ? 1 : 0;
    }
    sum += lost / kNew;
    squares += lost / kNew * lost / kNew;
  }
  const double mean = sum / kRounds;
  const double error = std::sqrt((squares / kRounds - mean * mean) / kRounds);
  EXPECT_LE(mean, kBound + 3 * error);
  EXPECT_GT(gated, 0u);
}

TEST(LocalGateFit, TooFewGenericRowsLeaveTheGlobalAnswer) {
  const auto fit = FitLocalGate(Rows(200, 100, 3), "acme");
  ASSERT_THAT(fit.status(), IsOk());
  EXPECT_EQ(fit->gate.tau, std::numeric_limits<double>::infinity());
  EXPECT_EQ(fit->tenant_gated, fit->tenant_global);
  EXPECT_THAT(FormatLocalGateFit(*fit), HasSubstr("never takes the local answer"));
}

TEST(LocalGateFit, OtherTenantsRowsChangeNothing) {
  std::vector<CustomisationRow> rows = Rows(300, 1000, 5);
  const auto alone = FitLocalGate(rows, "acme");
  CounterRandom random(9, 9);
  for (int i = 0; i < 300; ++i) rows.push_back(Row("other", random));
  const auto among = FitLocalGate(rows, "acme");
  ASSERT_THAT(among.status(), IsOk());
  EXPECT_EQ(among->other_tenants_rows, 300u);
  EXPECT_EQ(among->gate.weight, alone->gate.weight);
  EXPECT_EQ(among->gate.bias, alone->gate.bias);
  EXPECT_EQ(among->gate.tau, alone->gate.tau);
  EXPECT_EQ(among->gate.centroid, alone->gate.centroid);
}

TEST(LocalGateFit, WrittenAndReadItIsTheSame) {
  TempDir dir;
  const auto fit = FitLocalGate(Rows(300, 1000, 6), "acme");
  ASSERT_THAT(fit.status(), IsOk());
  const std::string path = dir.File("gate.safetensors");
  ASSERT_THAT(WriteLocalGate(path, "acme", fit->gate), IsOk());
  const auto read = ReadLocalGate(path, "acme", 2);
  ASSERT_THAT(read.status(), IsOk());
  EXPECT_EQ(read->weight, fit->gate.weight);
  EXPECT_EQ(read->tau, fit->gate.tau);
  EXPECT_EQ(read->centroid, fit->gate.centroid);
  EXPECT_THAT(std::string(ReadLocalGate(path, "other", 2).status().message()),
              HasSubstr("is the gate of tenant \"acme\", wanted \"other\""));
  EXPECT_THAT(std::string(ReadLocalGate(path, "acme", 3).status().message()),
              HasSubstr("was trained on 2 features"));
}

TEST(LocalGateFit, SaysWhatIsMissing) {
  EXPECT_THAT(std::string(FitLocalGate(Rows(0, 10, 1), "acme").status().message()),
              HasSubstr("no rows of tenant acme"));
  std::vector<CustomisationRow> rows = Rows(10, 10, 1);
  rows[4].z.pop_back();
  EXPECT_THAT(std::string(FitLocalGate(rows, "acme").status().message()),
              HasSubstr("row 4: z: 1 features, wanted 2"));
  rows = Rows(10, 10, 1);
  for (CustomisationRow& row : rows) row.global = row.local = Says(row.label, 0.9);
  EXPECT_THAT(std::string(FitLocalGate(rows, "acme").status().message()),
              HasSubstr("wanted some of either"));
}

}  // namespace
}  // namespace penstock::router
