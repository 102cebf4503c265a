#include "router_service/exploration/exploration_ledger.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

TEST(ExplorationLedgerTest, AShareAccruesAndIsPaid) {
  ExplorationLedger ledger(0.02);
  for (int i = 0; i < 100; ++i) ledger.Accrue("a", 5);
  EXPECT_NEAR(ledger.credit("a"), 10, 1e-9);
  ledger.Pay("a", 7);
  EXPECT_NEAR(ledger.credit("a"), 3, 1e-9);
  EXPECT_NEAR(ledger.accrued_j(), 500, 1e-9);
  EXPECT_NEAR(ledger.paid_j(), 7, 1e-9);
}

TEST(ExplorationLedgerTest, NobodyPaysForOthers) {
  ExplorationLedger ledger(0.02);
  for (int i = 0; i < 100; ++i) ledger.Accrue("a", 5);
  ledger.Accrue("b", 5);
  EXPECT_NEAR(ledger.credit("b"), 0.1, 1e-9);
  EXPECT_EQ(ledger.credit("c"), 0);
}

TEST(ExplorationLedgerTest, ACheaperChoiceEarnsNothing) {
  ExplorationLedger ledger(0.02);
  ledger.Accrue("a", 5);
  ledger.Pay("a", -3);
  EXPECT_NEAR(ledger.credit("a"), 0.1, 1e-12);
  EXPECT_EQ(ledger.paid_j(), 0);
}

TEST(ExplorationLedgerTest, WhatCameToNothingIsGivenBack) {
  ExplorationLedger ledger(0.02);
  for (int i = 0; i < 100; ++i) ledger.Accrue("a", 5);
  ledger.Pay("a", 7);
  ledger.Refund("a", 7);
  ledger.Refund("a", -1);
  EXPECT_NEAR(ledger.credit("a"), 10, 1e-9);
  EXPECT_NEAR(ledger.paid_j(), 0, 1e-12);
}

TEST(ExplorationLedgerTest, WhatAccruesIsBounded) {
  ExplorationLedger ledger(0.02);
  for (int i = 0; i < 100000; ++i) ledger.Accrue("a", 5);
  EXPECT_NEAR(ledger.credit("a"), 0.02 * ExplorationLedger::kDepth * 5, 1e-6);
}

TEST(ExplorationLedgerTest, TooManyTenantsShareOneAccount) {
  ExplorationLedger ledger(0.02);
  for (size_t i = 0; i < ExplorationLedger::kTenants; ++i) ledger.Accrue(absl::StrCat("t", i), 5);
  EXPECT_EQ(ledger.credit("late"), 0);
  ledger.Accrue("late", 5);
  ledger.Accrue("later", 5);
  EXPECT_NEAR(ledger.credit("late"), 0.2, 1e-9);
  EXPECT_NEAR(ledger.credit("t7"), 0.1, 1e-9);
}

}  // namespace
}  // namespace penstock::router
