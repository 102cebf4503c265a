#include "expert_service/models/live_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock::expert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kSoftmax[] = R"(
inputs: [{name: x, datatype: FP32, shape: [2]}]
outputs: [{name: y, datatype: FP32, shape: [2]}]
blocks: [{softmax: {}}]
)";

// A repository of models without weights, and what has begun to serve.
class LiveRepositoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& model, const std::string& version,
             const std::string& config = kSoftmax) {
    root_.Write(model + "/config.yaml", config);
    root_.Write(model + "/" + version + "/.keep", "");
  }
  void Open(const std::vector<std::string>& models = {}) {
    auto opened = LiveRepository::Open(root_.path(), models);
    ASSERT_THAT(opened.status(), IsOk());
    repository_ = *std::move(opened);
  }
  // -> what changed.
  std::vector<std::string> Reload(const std::vector<std::string>& models = {}) {
    auto staged = repository_->Stage(models);
    EXPECT_THAT(staged.status(), IsOk());
    if (!staged.ok()) return {};
    std::vector<std::string> changes = staged->changes;
    repository_->Commit(*std::move(staged));
    return changes;
  }
  absl::Status Load(const std::string& model) {
    return repository_->Load(model, [this](const LiveRepository::Models& models) {
      begun_.insert(begun_.end(), models.begin(), models.end());
      return begin_;
    });
  }
  std::shared_ptr<const Model> Find(const std::string& name, const std::string& version = "") {
    const auto found = repository_->Get()->Find(name, version);
    return found.ok() ? *found : nullptr;
  }

  const TempDir root_;
  std::unique_ptr<LiveRepository> repository_;
  LiveRepository::Models begun_;
  absl::Status begin_;
};

TEST_F(LiveRepositoryTest, TakesNewVersionsAndKeepsThoseThatAreAsTheyWere) {
  Write("a", "1");
  Write("b", "1");
  Open();
  const auto a = Find("a"), b = Find("b");
  EXPECT_THAT(Reload(), IsEmpty());
  EXPECT_EQ(Find("a"), a);
  Write("a", "2");
  EXPECT_THAT(Reload(), ElementsAre("model a version 2 (added)"));
  EXPECT_EQ(Find("a")->version(), 2);
  EXPECT_EQ(Find("a", "1"), a);
  EXPECT_EQ(Find("b"), b);
  std::filesystem::remove_all(root_.File("a/1"));
  EXPECT_THAT(Reload(), ElementsAre("model a version 1 (removed)"));
  EXPECT_EQ(Find("a", "1"), nullptr);
  EXPECT_EQ(a->version(), 1);  // whoever began with it has it
}

TEST_F(LiveRepositoryTest, AnotherConfigurationMakesTheVersionsAnew) {
  Write("a", "1");
  Open();
  const auto before = Find("a");
  Write("a", "1", std::string(kSoftmax) + "batching: {max_rows: 7}\n");
  auto staged = repository_->Stage({});
  ASSERT_THAT(staged.status(), IsOk());
  EXPECT_THAT(staged->begun, SizeIs(1));
  EXPECT_THAT(staged->changes, ElementsAre("model a version 1 (changed)"));
  EXPECT_EQ(Find("a"), before);
  repository_->Commit(*std::move(staged));
  EXPECT_EQ(Find("a")->contract().max_rows, 7);
}

TEST_F(LiveRepositoryTest, AFileThatCannotBeUsedChangesNothing) {
  Write("a", "1");
  Write("b", "1");
  Open();
  const auto a = Find("a");
  Write("a", "2");
  Write("b", "1", "blocks: [{linaer: {}}]");
  EXPECT_THAT(repository_->Stage({}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b/config.yaml")));
  EXPECT_EQ(Find("a"), a);
}

TEST_F(LiveRepositoryTest, FollowsTheListOfModels) {
  Write("a", "1");
  Write("b", "1");
  Open({"a"});
  EXPECT_EQ(Find("b"), nullptr);
  EXPECT_THAT(Reload({"b"}),
              ElementsAre("model b version 1 (added)", "model a version 1 (removed)"));
}

TEST_F(LiveRepositoryTest, LoadsAndUnloadsOneModel) {
  Write("a", "1");
  Write("b", "1");
  Open({"a"});
  EXPECT_THAT(Load("b"), IsOk());
  EXPECT_THAT(begun_, SizeIs(1));
  EXPECT_NE(Find("b"), nullptr);
  // Loaded by a call, it stays beside the list.
  EXPECT_THAT(Reload({"a"}), IsEmpty());
  EXPECT_THAT(repository_->Unload("a"), IsOk());
  EXPECT_EQ(Find("a"), nullptr);
  EXPECT_THAT(repository_->unloaded(), ElementsAre("a"));
  EXPECT_THAT(Reload({"a"}), IsEmpty());
  EXPECT_EQ(Find("a"), nullptr);
  EXPECT_THAT(repository_->Unload("a"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Load("a"), IsOk());
  EXPECT_NE(Find("a"), nullptr);
  EXPECT_THAT(repository_->unloaded(), IsEmpty());
}

TEST_F(LiveRepositoryTest, AModelThatDoesNotLoadOrBeginLeavesTheOldOne) {
  Write("a", "1");
  Open();
  const auto before = Find("a");
  EXPECT_THAT(Load("none"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(Load("../a"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Load(""), StatusIs(absl::StatusCode::kInvalidArgument));
  Write("a", "2");
  begin_ = absl::InternalError("warming up failed");
  EXPECT_THAT(Load("a"), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(Find("a"), before);
  begin_ = absl::OkStatus();
  Write("a", "2", "blocks: [{linaer: {}}]");
  EXPECT_THAT(Load("a"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a/config.yaml")));
  EXPECT_EQ(Find("a"), before);
}

TEST_F(LiveRepositoryTest, TheFolderMayHaveAnotherNameThanItsModel) {
  Write("folder", "1", std::string("name: model\n") + kSoftmax);
  Open();
  EXPECT_THAT(repository_->Unload("folder"), StatusIs(absl::StatusCode::kNotFound));
  Write("folder", "2", std::string("name: model\n") + kSoftmax);
  EXPECT_THAT(Load("model"), IsOk());
  EXPECT_EQ(Find("model")->version(), 2);
}

}  // namespace
}  // namespace penstock::expert
