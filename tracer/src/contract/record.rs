//! Every kind of line that leaves the process.
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::contract::{
    Count, Doctor, End, Finding, Gap, Incident, Loss, Missed, Run, Scan, Status, Story, Truncation,
    Watching,
};

/// The version of the contract, as each line names it. Lines of every version up to this can be read.
pub const SCHEMA: u32 = 2;

/// One line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "lowercase")]
pub enum Record {
    Watching(Watching),
    /// Reported for the first time.
    Incident(Box<Incident>),
    /// More is known of an incident: all of it again, under the same id.
    #[serde(deserialize_with = "updated")]
    Update(Box<Incident>),
    Truncation(Box<Truncation>),
    Loss(Loss),
    Missed(Missed),
    End(End),
    Finding(Box<Finding>),
    Scan(Scan),
    Doctor(Box<Doctor>),
    Story(Box<Story>),
    Count(Count),
    Gap(Gap),
    Run(Run),
    Status(Box<Status>),
}

fn updated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Incident>, D::Error> {
    let incident = Box::<Incident>::deserialize(deserializer)?;
    Ok(Box::new(Incident { updated: true, ..*incident }))
}

impl From<Incident> for Record {
    fn from(incident: Incident) -> Self {
        match incident.updated {
            false => Self::Incident(Box::new(incident)),
            true => Self::Update(Box::new(incident)),
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            schema: u32,
            #[serde(flatten, serialize_with = "Record::serialize")]
            record: &'a Record,
        }
        Line { schema: SCHEMA, record: self }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Record::deserialize(deserializer)
    }
}

/// A record inside another: it keeps its `schema` and `kind`, so that it can be taken out as it is.
pub(super) mod whole {
    use super::{Deserializer, Incident, Record, Serialize, Serializer};
    use serde::de::Error as _;

    pub fn serialize<S: Serializer>(incident: &Incident, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&Record::from(incident.clone()), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Incident, D::Error> {
        match Record::deserialize(deserializer)? {
            Record::Incident(incident) | Record::Update(incident) => Ok(*incident),
            _ => Err(D::Error::custom("another kind where an incident belongs")),
        }
    }
}

/// The same of a list of gaps.
pub(super) mod whole_gaps {
    use super::{Deserialize, Deserializer, Record, Serializer};
    use crate::contract::Gap;
    use serde::de::Error as _;

    pub fn serialize<S: Serializer>(gaps: &[Gap], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(gaps.iter().cloned().map(Record::Gap))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Gap>, D::Error> {
        let gap = |record| match record {
            Record::Gap(gap) => Ok(gap),
            _ => Err(D::Error::custom("another kind where a gap belongs")),
        };
        Vec::<Record>::deserialize(deserializer)?.into_iter().map(gap).collect()
    }
}
