#include "expert_service/models/live_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

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

TEST_F(LiveRepositoryTest, AStageThatIsNotWantedAnyMoreEnds) {
  Write("a", "1");
  Open();
  Write("a", "2");
  Notification give_up;
  EXPECT_THAT(repository_->Stage({}, &give_up).status(), IsOk());
  give_up.Notify();
  EXPECT_THAT(repository_->Stage({}, &give_up).status(), StatusIs(absl::StatusCode::kCancelled));
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

TEST_F(LiveRepositoryTest, AModelLoadedByCallLeavesWithItsFolder) {
  Write("a", "1");
  Write("b", "1");
  Open({"a"});
  EXPECT_THAT(Load("b"), IsOk());
  std::filesystem::remove_all(root_.File("b"));
  EXPECT_THAT(Reload({"a"}), ElementsAre("model b version 1 (removed)"));
  EXPECT_EQ(Find("b"), nullptr);
  EXPECT_NE(Find("a"), nullptr);
}

TEST_F(LiveRepositoryTest, AnUnloadedModelsFolderIsLeftAlone) {
  Write("a", "1");
  Write("b", "1");
  Open();
  EXPECT_THAT(repository_->Unload("b"), IsOk());
  // Neither the one that cannot be read nor the one that makes no model refuses.
  for (const char* broken : {"blocks: [{linaer: {}}]", "blocks: [{linear: {}}]"}) {
    Write("b", "1", broken);
    EXPECT_THAT(Reload(), IsEmpty());
  }
  EXPECT_THAT(Load("b"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b/config.yaml")));
  Write("b", "1");
  EXPECT_THAT(Reload(), IsEmpty());
  EXPECT_THAT(Load("b"), IsOk());
  EXPECT_NE(Find("b"), nullptr);
  EXPECT_THAT(Reload(), IsEmpty());
  // Another model in the folder is another model.
  EXPECT_THAT(repository_->Unload("b"), IsOk());
  Write("b", "1", std::string("name: c\n") + kSoftmax);
  EXPECT_THAT(Reload(), ElementsAre("model c version 1 (added)"));
}

TEST_F(LiveRepositoryTest, CallsAfterTheStageStayDone) {
  for (const char* model : {"a", "b", "c", "d"}) Write(model, "1");
  Open({"a", "b", "d"});
  EXPECT_THAT(repository_->Unload("d"), IsOk());
  auto staged = repository_->Stage({"a", "b", "d"});
  ASSERT_THAT(staged.status(), IsOk());
  Write("a", "2");
  EXPECT_THAT(Load("a"), IsOk());  // a version that the stage does not know
  EXPECT_THAT(repository_->Unload("b"), IsOk());
  EXPECT_THAT(Load("c"), IsOk());  // beside the list
  EXPECT_THAT(Load("d"), IsOk());  // unloaded when it was staged
  repository_->Commit(*std::move(staged));
  EXPECT_NE(Find("a", "2"), nullptr);
  EXPECT_EQ(Find("b"), nullptr);
  EXPECT_NE(Find("c"), nullptr);
  EXPECT_NE(Find("d"), nullptr);
  // The next stage knows of them.
  EXPECT_THAT(Reload({"a", "b", "d"}), IsEmpty());
  // One that moved to another folder is served once.
  ASSERT_TRUE(std::filesystem::create_directory(root_.File("kept")));
  std::filesystem::rename(root_.File("c"), root_.File("kept/c"));
  Write("f", "1", std::string("name: c\n") + kSoftmax);
  staged = repository_->Stage({"a", "f"});
  ASSERT_THAT(staged.status(), IsOk());
  std::filesystem::rename(root_.File("kept/c"), root_.File("c"));
  EXPECT_THAT(Load("c"), IsOk());
  const auto c = Find("c");
  repository_->Commit(*std::move(staged));
  EXPECT_EQ(Find("c"), c);
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
