//! Whether the process is ready for more, told truthfully.

use crate::live::Live;
use crate::spool::Room;

use super::intake::Intake;

/// What readiness depends on.
#[derive(Debug)]
pub struct Ready {
    intake: Intake,
    follow: tokio::sync::watch::Receiver<crate::live::Told>,
}

impl Ready {
    /// Ready while this log and this run are.
    #[must_use]
    pub fn new(intake: Intake, live: &Live) -> Self {
        Self {
            intake,
            follow: live.follow(),
        }
    }

    /// Why not, one line each; empty if it is.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.intake.room() {
            Room::Free => {}
            Room::Behind => {
                faults.push("the log is full of bodies that are not evaluated yet".to_owned());
            }
            Room::DiskFull => faults.push("the disk is full".to_owned()),
            Room::BrokersDown => faults.push("no Kafka broker can be reached".to_owned()),
        }
        let told = self.follow.borrow();
        if let Some(fault) = &told.fault {
            faults.push(format!("evaluation cannot commit: {fault}"));
        }
        if told.ended {
            faults.push("evaluation has ended".to_owned());
        }
        faults
    }
}
