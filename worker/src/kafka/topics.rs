//! Creates the topics: brokers are told not to create them by themselves, with whatever settings.

use super::{Callbacks, common};
use crate::backoff::Backoff;
use crate::config::Kafka;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;
use std::time::Duration;
use tracing::{info, warn};

const PATIENCE: Duration = Duration::from_secs(10);

/// The replication factor that the broker has as its default.
const BROKERS_DEFAULT: TopicReplication<'_> = TopicReplication::Fixed(-1);

/// Creates the topics that are missing, as soon as there is a broker.
///
/// # Errors
/// If the settings make no client.
pub(crate) async fn create_topics(kafka: &Kafka) -> KafkaResult<()> {
    let admin = AdminClient::from_config_and_context(&common(kafka), Callbacks)?;
    let mut backoff = Backoff::for_server();
    let mut said = false;
    while let Err(reason) = try_create(&admin, kafka).await {
        if !said {
            warn!("cannot create the topics yet, starting when it can be done: {reason}");
            said = true;
        }
        tokio::time::sleep(backoff.pause()).await;
    }
    Ok(())
}

async fn try_create(admin: &AdminClient<Callbacks>, kafka: &Kafka) -> Result<(), String> {
    let events = NewTopic::new(&kafka.topic, kafka.partitions, BROKERS_DEFAULT);
    // A dead letter waits for a person, however long.
    let dead = NewTopic::new(&kafka.dead_topic, 1, BROKERS_DEFAULT).set("retention.ms", "-1");
    let options = AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE));
    let created = admin.create_topics([&events, &dead], &options).await;
    for result in created.map_err(|error| error.to_string())? {
        match result {
            Ok(topic) => info!("topic {topic} is created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // Not ours to create; whether it is there shows the first message.
            Err((
                topic,
                code @ (RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed),
            )) => {
                warn!("topic {topic} has to exist already: {code}");
            }
            Err((topic, code)) => return Err(format!("{topic}: {code}")),
        }
    }
    Ok(())
}
