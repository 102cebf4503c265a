#include "kernels/catalogue/catalogue.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

namespace penstock::kernels {
namespace {

// A folder with a reference is an op: the catalogue forgets none.
TEST(CatalogueTest, NamesEveryFolderOfAnOpInOrder) {
  std::set<std::string> folders;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(PENSTOCK_SOURCE_DIR) + "/kernels")) {
    const std::string name = entry.path().filename().string();
    if (std::filesystem::exists(entry.path() / (name + "_reference.cc"))) folders.insert(name);
  }
  std::vector<std::string> wanted(folders.begin(), folders.end()), named;
  for (const CatalogueOp& op : Catalogue()) named.emplace_back(op.name);
  ASSERT_FALSE(wanted.empty());
  EXPECT_EQ(named, wanted);
}

TEST(CatalogueTest, OneEntryOfEachOpRunsAndTheReferenceIsLast) {
  for (const CatalogueOp& op : Catalogue()) {
    int chosen = 0;
    for (const CatalogueEntry& entry : op.entries) {
      if (!entry.chosen) continue;
      ++chosen;
      EXPECT_TRUE(entry.supported) << op.name << " " << entry.name;
    }
    EXPECT_EQ(chosen, 1) << op.name;
    ASSERT_FALSE(op.entries.empty()) << op.name;
    EXPECT_EQ(op.entries.back().isa, Isa::kReference) << op.name;
  }
}

TEST(CatalogueTest, FollowsWhatIsForced) {
  ASSERT_TRUE(ForceIsa("reference").ok());
  for (const CatalogueOp& op : Catalogue()) EXPECT_TRUE(op.entries.back().chosen) << op.name;
  ASSERT_TRUE(ForceIsa("").ok());
}

}  // namespace
}  // namespace penstock::kernels
