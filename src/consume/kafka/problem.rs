//! What rdkafka says, in words that tell people what to do, sorted by whether trying again helps.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::LogError;
use super::context::Context;

/// The code of an error, where it has one.
pub(super) fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::Transaction(error) => Some(error.code()),
        error => error.rdkafka_error_code(),
    }
}

/// What stopped `doing`.
pub(super) fn of(error: &KafkaError, doing: &str) -> LogError {
    let detail = match error {
        KafkaError::Transaction(error) => error.to_string(),
        error => error.to_string(),
    };
    code(error).map_or_else(
        || LogError::Unavailable(format!("cannot {doing}: {detail}")),
        |code| sorted(code, doing, &detail),
    )
}

/// The same, for a bare code.
pub(super) fn of_code(code: Code, doing: &str) -> LogError {
    sorted(code, doing, &code.to_string())
}

/// The same, with the client's own words.
pub(super) fn of_code_because(code: Code, doing: &str, reason: &str) -> LogError {
    sorted(code, doing, reason)
}

fn sorted(code: Code, doing: &str, detail: &str) -> LogError {
    let refused = |advice: &str| LogError::Refused(format!("cannot {doing}: {detail}; {advice}"));
    match code {
        Code::TopicAuthorizationFailed => refused(
            "allow this user to read, write and describe the topics (kafka-acls, or your provider's console)",
        ),
        Code::GroupAuthorizationFailed => {
            refused("allow this user to read the consumer groups (kafka-acls --group)")
        }
        Code::TransactionalIdAuthorizationFailed => refused(
            "allow this user to write with the transactional ids (kafka-acls --transactional-id)",
        ),
        Code::ClusterAuthorizationFailed => refused(
            "allow this user to write the topics; before Kafka 2.8 also IdempotentWrite on the cluster \
             (kafka-acls --cluster)",
        ),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => {
            refused("check kafka.security: mechanism, user name and password, or the token")
        }
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            refused("create the topics with `whetstone check --create-topics`")
        }
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => {
            refused("raise max.message.bytes of the topic")
        }
        Code::KafkaStorageError => LogError::Unavailable(format!(
            "cannot {doing}: {detail}; see whether the disks of the brokers are full or broken"
        )),
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => {
            LogError::Unavailable(format!("cannot {doing}: {detail}; see which brokers are down"))
        }
        Code::UnsupportedVersion | Code::UnsupportedFeature => {
            refused("the brokers are too old: 2.5 or later is needed for exactly-once")
        }
        _ => LogError::Unavailable(format!("cannot {doing}: {detail}")),
    }
}

/// What stopped a step of `group`.
pub(super) fn of_step(error: &KafkaError, group: &str, doing: &str) -> LogError {
    let group = group.to_owned();
    match code(error) {
        Some(
            Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::RebalanceInProgress
            | Code::StaleMemberEpoch
            | Code::FencedMemberEpoch
            | Code::AssignmentLost
            | Code::PollExceeded,
        ) => LogError::Lost { group, why: format!("cannot {doing}: {error}") },
        Some(Code::ProducerFenced | Code::Fenced | Code::InvalidProducerEpoch) => {
            let advice = ". Each instance needs a data_dir or a kafka.instance of its own";
            LogError::Fenced { group, advice: advice.to_owned() }
        }
        _ => of(error, doing),
    }
}

/// Whether `code` says that the brokers will not have us, however often we ask.
pub(super) fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::SSL
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
    )
}

/// Why no connection came about.
pub(super) fn connecting(context: &Context, brokers: &str) -> LogError {
    let doing = format!("connect to {brokers}");
    let failed = match context.last_error() {
        Some((Code::SSL, reason)) => {
            let advice = "check kafka.security: protocol and CA file";
            return LogError::Refused(format!("cannot {doing}: {reason}; {advice}"));
        }
        Some((Code::AllBrokersDown, reason)) => {
            sorted(Code::AllBrokersDown, &doing, &context.last_failure().unwrap_or(reason))
        }
        Some((code, reason)) => sorted(code, &doing, &reason),
        None => {
            let reason = context.last_failure().unwrap_or_else(|| "no answer".to_owned());
            sorted(Code::BrokerTransportFailure, &doing, &reason)
        }
    };
    match failed {
        LogError::Unavailable(text) => LogError::Unavailable(format!(
            "{text}; check kafka.brokers, that they can be reached from here, and \
             kafka.security.protocol"
        )),
        failed => failed,
    }
}

/// The settings cannot be used at all.
pub(super) fn config(error: &KafkaError) -> LogError {
    // A wrong value is part of the error's own text, cut or whole, and may be a secret.
    let detail = match error {
        KafkaError::ClientConfig(_, description, key, _) => {
            let told = description.trim();
            match told.split_once(" is outside allowed range ") {
                Some((_, range)) => format!("{key} takes a number from {range}"),
                None if told.starts_with("No such") => told.to_owned(),
                None => format!("{key} does not take the value that it is given"),
            }
        }
        error => error.to_string(),
    };
    LogError::Refused(format!(
        "the client cannot be set up: {detail}; see kafka in the configuration"
    ))
}

/// What a consumer reports between two records: an error if it stands in the way of reading on. What
/// the client mends by itself is logged only; that it is no longer let in, too, since it was once, and
/// a new token or password may come.
pub(super) fn while_reading(error: &KafkaError, what: &str) -> Result<(), LogError> {
    let doing = format!("read {what}");
    match of(error, &doing) {
        shut_out if code(error).is_some_and(is_refusal) => {
            tracing::warn!(problem = %shut_out, "tries again");
            Ok(())
        }
        refused @ LogError::Refused(_) => Err(refused),
        failed if matches!(error, KafkaError::MessageConsumptionFatal(_)) => Err(failed),
        passing => {
            // Many a second while brokers are away; what comes of it is said by the role.
            tracing::debug!(problem = %passing, "goes on");
            Ok(())
        }
    }
}

/// A topic is missing.
pub(super) fn no_topic(name: &str) -> LogError {
    LogError::Refused(format!(
        "there is no topic {name}: create the topics with `whetstone check --create-topics`"
    ))
}
