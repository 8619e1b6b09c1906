//! trunkline under the AWS SDK.
